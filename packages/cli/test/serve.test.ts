import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

const bin = fileURLToPath(new URL('../bin/tidemark.js', import.meta.url))

let folder: string
let child: ChildProcess | undefined

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'tidemark-serve-'))
})

afterEach(async () => {
  if (child && child.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 })
})

/** Runs `npx tidemark serve …` from the build, in a folder of its own and without a database. */
function run(args: string[]) {
  const { DATABASE_URL: _, TIDEMARK_DATA: __, TIDEMARK_PORT: ___, ...env } = process.env
  const started = spawn(process.execPath, [bin, ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  child = started
  const printed = { out: '', err: '' }
  started.stdout.on('data', (text) => {
    printed.out += text
  })
  started.stderr.on('data', (text) => {
    printed.err += text
  })
  const ended = once(started, 'close').then(([code]) => code as number | null)
  return { child: started, printed, ended }
}

async function ready({ child, printed, ended }: ReturnType<typeof run>): Promise<string> {
  for (;;) {
    const url = /^Tidemark is ready: (\S+)$/m.exec(printed.out)?.[1]
    if (url) return url
    const code = await Promise.race([ended, once(child.stdout, 'data').then(() => undefined)])
    if (code !== undefined) throw new Error(`serve ended with ${code}: ${printed.err}`)
  }
}

test('serve answers with the rows of its private PostgreSQL, and ends in order when it is told to', async () => {
  fs.writeFileSync(
    join(folder, 'tidemark.yaml'),
    'resources:\n  numbers:\n    params: { most: integer }\n    sql: "select n from generate_series(1, :most) n"\n',
  )
  const serving = run(['serve', '--config', 'tidemark.yaml', '--port', '0'])
  const url = await ready(serving)
  const answer = await fetch(`${url}/api/resources/numbers?most=2`)
  expect(await answer.json()).toEqual([{ n: 1 }, { n: 2 }])
  const database = /^Its database: +psql '(\S+)'$/m.exec(serving.printed.out)?.[1]
  expect(database).toMatch(/^postgresql:/)
  serving.child.kill('SIGTERM')
  expect(await serving.ended).toBe(0)
  expect(fs.existsSync(join(folder, '.tidemark'))).toBe(true)
})

test('a configuration that is not there, or wrong, is said in a line or two, with exit code 1', async () => {
  const missing = run(['serve', '--port', '0'])
  expect(await missing.ended).toBe(1)
  expect(missing.printed.err).toMatch(/^tidemark: TIDEMARK_CONFIG: .*tidemark\.yaml/s)
  expect(missing.printed.err).not.toContain('    at ')

  fs.writeFileSync(join(folder, 'wrong.yaml'), 'resources:\n  a: { sqll: "select 1" }\n')
  const wrong = run(['serve', '--config', 'wrong.yaml', '--port', '0'])
  expect(await wrong.ended).toBe(1)
  expect(wrong.printed.err).toMatch(/wrong\.yaml:2:\d+/)
  expect(fs.existsSync(join(folder, '.tidemark'))).toBe(false)
})
