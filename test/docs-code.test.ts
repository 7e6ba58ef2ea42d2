import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'
import { read, repositoryFiles, root } from './repository.js'

/** Each `ts` block of the docs as a module of its own, at a path beside this file that does not exist on disk. */
const blocks = new Map(
  repositoryFiles()
    .filter((path) => /^(README\.md|docs\/.*\.md|packages\/[^/]+\/README\.md)$/.test(path))
    .flatMap((page) =>
      [...read(page).matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code], index) => {
        const name = `${page.replace(/\W+/g, '-')}-${index + 1}.ts`
        return [join(root, 'test', name), `${code}\nexport {}\n`] as const
      }),
    ),
)

test('the code in the docs compiles', () => {
  expect(blocks.size).toBeGreaterThan(0)
  const file = join(root, 'tsconfig.test.json')
  const { options } = ts.parseJsonConfigFileContent(ts.readConfigFile(file, ts.sys.readFile).config, ts.sys, root)
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (path) => blocks.has(path) || fileExists(path)
  host.readFile = (path) => blocks.get(path) ?? readFile(path)
  host.getSourceFile = (path, language, ...rest) => {
    const code = blocks.get(path)
    return code === undefined ? getSourceFile(path, language, ...rest) : ts.createSourceFile(path, code, language)
  }
  // An example need not use all that it shows.
  const shown = { ...options, noUnusedLocals: false, noUnusedParameters: false }
  const program = ts.createProgram([...blocks.keys()], shown, host)
  const problems = [...blocks.keys()].flatMap((path) => ts.getPreEmitDiagnostics(program, program.getSourceFile(path)))
  expect(problems.map((problem) => ts.formatDiagnostic(problem, formatHost))).toEqual([])
})

const formatHost: ts.FormatDiagnosticsHost = {
  getCanonicalFileName: (name) => name,
  getCurrentDirectory: () => root,
  getNewLine: () => '\n',
}
