import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'
import { read, repositoryFiles, root, sourceFiles } from './repository.js'

const pages = repositoryFiles().filter((path) => path.endsWith('.md'))

test('links in the docs lead to files and sections that exist', () => {
  const broken = pages.flatMap((page) =>
    linksOf(page)
      .filter((link) => !leadsSomewhere(page, link))
      .map((link) => `${page}: ${link}`),
  )
  expect(broken).toEqual([])
})

test('the anchors of a page are those that GitHub gives its headings', () => {
  const page = '# One: `two` & three!\n## Again\n## Again\n```sh\n# no heading\n```\n## TIDEMARK_X\n'
  expect(anchorsIn(page)).toEqual(['one-two--three', 'again', 'again-1', 'tidemark_x'])
})

test('every error code has its section in docs/errors.md, and every section its code', () => {
  const environment = new Set(['TIDEMARK_DATA', 'TIDEMARK_PORT', 'TIDEMARK_TOKEN', 'TIDEMARK_URL'])
  const codes = sourceFiles().flatMap((path) =>
    [...read(path).matchAll(/'(TIDEMARK_[A-Z0-9_]+)'/g)].map(([, code]) => code!),
  )
  const sections = [...read('docs/errors.md').matchAll(/^## (.*)$/gm)].map(([, heading]) => heading!)
  expect(sections.filter((heading, index) => sections.indexOf(heading) !== index)).toEqual([])
  expect([...new Set(codes)].filter((code) => !environment.has(code)).sort()).toEqual(sections.sort())
})

function linksOf(page: string): string[] {
  const text = withoutCode(read(page)).replace(/`[^`\n]*`/g, '')
  const inline = [...text.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g)]
  const defined = [...text.matchAll(/^\[[^\]]+\]:\s+(\S+)/gm)]
  const html = [...text.matchAll(/\b(?:src|href)="([^"]+)"/g)]
  return [...inline, ...defined, ...html].map(([, link]) => link!).filter((link) => !/^(https?|mailto):/.test(link))
}

function leadsSomewhere(page: string, link: string): boolean {
  const [path, anchor] = link.split('#') as [string, string?]
  const target = path === '' ? page : normalize(join(dirname(page), decodeURI(path)))
  if (!existsSync(join(root, target))) return false
  return anchor === undefined || !target.endsWith('.md') || anchorsIn(read(target)).includes(anchor)
}

function anchorsIn(text: string): string[] {
  const seen = new Map<string, number>()
  return [...withoutCode(text).matchAll(/^#{1,6}\s+(.*?)\s*$/gm)].map(([, heading]) => {
    const slug = heading!
      .toLowerCase()
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/[^\p{L}\p{N}\p{M} _-]/gu, '')
      .replaceAll(' ', '-')
    const before = seen.get(slug) ?? 0
    seen.set(slug, before + 1)
    return before === 0 ? slug : `${slug}-${before}`
  })
}

function withoutCode(text: string): string {
  return text.replace(/^( *)(```+|~~~+)[^\n]*\n[\s\S]*?^\1\2 *$/gm, '')
}
