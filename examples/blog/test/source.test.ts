import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const root = new URL('../', import.meta.url)
const files = ['', 'page/'].flatMap((folder) =>
  readdirSync(new URL(folder, root), { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => folder + entry.name),
)
const read = (file: string) => readFileSync(new URL(file, root), 'utf8')
const codeOf = (file: string) => read(file).replace(/\/\*[\s\S]*?\*\/|^\s*(\/\/|--|#).*$/gm, '')

test('nothing in the blog says when a cached answer is out of date', () => {
  const code = files.filter((file) => /\.(js|sql|yaml)$/.test(file) && file !== 'seed-text.js')
  expect(code.length).toBeGreaterThan(12)
  for (const file of code) {
    const found = codeOf(file).match(
      /invalidate\(|\binvalidation|\bttl\b|max-?age|\bexpir|\bevict|\bpurge|\bflush|\bgrace\b|\btags?\b|cache\.\w+\(/gi,
    )
    expect(found, file).toBeNull()
  }
})

test('what writes knows nothing of what reads: no word of Tidemark in the write routes', () => {
  expect(codeOf('writes.js')).not.toMatch(/tidemark|cache|stream|resource/i)
  expect(codeOf('schema.sql').replace("'Tidemark example blog'", '')).not.toMatch(/tidemark|cache|notify/i)
})

test('the page runs under a strict policy: no inline script, style or handler, nothing from elsewhere', () => {
  const html = read('page/index.html')
  expect(html.match(/<script(?![^>]*\bsrc=)[^>]*>/g)).toBeNull()
  expect(html.match(/<style|\sstyle=|\son\w+=|javascript:/gi)).toBeNull()
  const outside = files.filter((file) => file.startsWith('page/') && !file.endsWith('.svg'))
  for (const file of outside) expect(read(file).match(/https?:\/\//g), file).toBeNull()
})

test('texts from the database reach the page as text only', () => {
  for (const file of files.filter((name) => name.startsWith('page/') && name.endsWith('.js'))) {
    expect(
      codeOf(file).match(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/g),
      file,
    ).toBeNull()
  }
})
