import { extname } from 'node:path'
import { expect, test } from 'vitest'
import { isTest, read, repositoryFiles, root, sourceFiles } from './repository.js'

const maxLines = 400
const text = new Set(['.ts', '.js', '.mjs', '.json', '.md', '.yaml', '.yml', '.html', '.css', '.sql', '.svg', ''])
const code = new Set(['.ts', '.js', '.mjs', '.css'])

const files = repositoryFiles()
const textFiles = files.filter((path) => text.has(extname(path)) && path !== 'package-lock.json')

test('the repository has files to check', () => {
  expect(sourceFiles().length).toBeGreaterThan(30)
  expect(textFiles).toContain('README.md')
})

test(`no source or test is longer than ${maxLines} lines`, () => {
  const lines = (path: string) => read(path).split('\n').length - 1
  const long = files.filter((path) => code.has(extname(path)) && lines(path) > maxLines)
  expect(long.map((path) => `${path}: ${lines(path)}`)).toEqual([])
})

test('files are named in kebab-case', () => {
  const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/
  const named = files.filter((path) => code.has(extname(path)) && path.includes('/') && !path.startsWith('.'))
  expect(named.filter((path) => !path.split('/').every((part) => kebab.test(part)))).toEqual([])
})

test('no file is a drawer for what has no place', () => {
  const drawer = /(^|\/)(utils?|helpers?|common|misc|shared|managers?|types|lib)(\.[^/]*)?(\/|$)/
  expect(files.filter((path) => drawer.test(path))).toEqual([])
})

test('no test is skipped for good, nor the only one to run', () => {
  const found = files.filter(isTest).flatMap((path) =>
    read(path)
      .split('\n')
      .filter((line) => /\b(test|it|describe|suite|bench)(\.\w+)*\.(skip|only|todo|fails|runIf)\b/.test(line))
      .map((line) => `${path}: ${line.trim()}`),
  )
  expect(found).toEqual([])
})

test('a test that needs a program says so in its name, by which npm test knows an expected skip', () => {
  const found = files
    .filter(isTest)
    .flatMap((path) =>
      [...read(path).matchAll(/\.skipIf\(lacks\('([\w-]+)'\)\)\(\s*(['"`])(.*?)\2/g)]
        .filter(([, program, , title]) => !title!.includes(`(needs ${program})`))
        .map(([match]) => `${path}: ${match}`),
    )
  expect(found).toEqual([])
})

test('no file names a path of the machine that it was written on', () => {
  // Spelled in parts, as this file is checked too.
  const paths = [root.replace(/\/$/, ''), `/${'work'}/`, `/home/${'user'}`, `/${'Users'}/`]
  const found = textFiles.filter((path) => paths.some((machine) => machine.length > 5 && read(path).includes(machine)))
  expect(found).toEqual([])
})

test('the lock file names no registry', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { resolved?: string }> }
  const resolved = Object.values(packages).flatMap(({ resolved = '' }) => (resolved.includes('://') ? [resolved] : []))
  expect(resolved).toEqual([])
})
