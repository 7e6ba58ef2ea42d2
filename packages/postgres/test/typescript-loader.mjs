// Lets a child process of a test run the TypeScript sources, as vitest does.
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { register } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'

if (isMainThread) register(import.meta.url)

// What was compiled once need not be again by the next of many processes: the compiler alone takes longer to load than a server to start.
const cache = new URL('../../../node_modules/.cache/tidemark-test/', import.meta.url)
const compiler = readFile(new URL('../../../node_modules/typescript/package.json', import.meta.url), 'utf8')

export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context)
  } catch (error) {
    if (!specifier.startsWith('.') || !specifier.endsWith('.js')) throw error
    return next(specifier.replace(/\.js$/, '.ts'), context)
  }
}

export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context)
  const text = await readFile(fileURLToPath(url), 'utf8')
  const hash = createHash('sha256')
    .update(`${await compiler}\n${text}`)
    .digest('hex')
  const compiled = new URL(`${hash}.js`, cache)
  const source = await readFile(compiled, 'utf8').catch(() => compile(text, compiled))
  return { format: 'module', source, shortCircuit: true }
}

async function compile(text, compiled) {
  const { default: ts } = await import('typescript')
  const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 }
  const source = ts.transpileModule(text, { compilerOptions: options }).outputText
  await mkdir(cache, { recursive: true })
  // Others read it only when it is whole. One process, too, may compile two files of the same text at once.
  const unfinished = new URL(`${compiled.href}.${randomUUID()}`)
  await writeFile(unfinished, source)
  await rename(unfinished, compiled)
  return source
}
