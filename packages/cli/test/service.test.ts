import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { parseConfig, type Running, serve } from '@tidemark/server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lacks } from '../../../test/machine.js'
import { type RunOptions, run } from './run.js'
import { until } from './until.js'

const BOUND = { timeout: 60_000 }

let database: TestDatabase
let server: Running
let folder: string

beforeAll(async () => {
  database = await testDatabase({ settings: {} })
  folder = mkdtempSync(join(tmpdir(), 'tidemark-cli-'))
  const config = parseConfig(
    `source: { url: "${database.url}", slot: tidemark_shared }\njournal: { enabled: true }\nresources: {}\n`,
    'tidemark.yaml',
    {},
  )
  server = await serve({ config, port: 0, env: {}, dataDir: folder, signals: false, logLevel: 'silent' })
  await until(() => server.cache.status().keeping)
}, 60_000)
afterAll(async () => {
  await server?.close()
  await database?.drop()
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 })
})

const ask = (args: readonly string[], options: RunOptions = {}) =>
  run(args, { ...options, env: { TIDEMARK_SERVER: server.url, ...options.env } })

/** A value that is kept: a change of the catalogue may touch it meanwhile. */
async function put(key: string, value: unknown, tags: readonly string[] = []): Promise<void> {
  await until(async () => {
    await server.cache.set(key, value, { tags })
    return (await server.cache.find(key)) !== undefined
  })
}

test('get prints values a line each, says which key has none, and ends with 1 then', BOUND, async () => {
  await put('cli:one', { name: 'Ada\u001b[31m' })
  await put('cli:two', [1, 2])
  expect(await ask(['get', 'cli:one', 'cli:two'])).toEqual({
    out: '{"name":"Ada\\u001b[31m"}\n[1,2]\n',
    err: '',
    exitCode: 0,
  })
  const some = await ask(['get', 'cli:two', 'cli:none'])
  expect(some).toEqual({ out: '[1,2]\n', err: 'Nothing is stored under "cli:none".\n', exitCode: 1 })
  const json = await ask(['get', 'cli:two', 'cli:none', '--json'])
  expect(JSON.parse(json.out)).toMatchObject([{ key: 'cli:two', found: true, value: [1, 2] }, { found: false }])
  expect(json.exitCode).toBe(1)
})

test('keys lists a page, says that there are more, and all of them with --all', BOUND, async () => {
  for (const n of [1, 2, 3]) await put(`list:${n}`, n, n === 2 ? ['even'] : [])
  const page = await ask(['keys', '--prefix', 'list:', '--limit', '2'])
  expect(page.out).toMatch(/list:1 +\| fresh.*\n list:2 +\| fresh.* even\n\(2 rows\)/)
  const cursor = /--cursor (\S+)\n$/.exec(page.err)![1]!
  const rest = await ask(['keys', '--prefix', 'list:', '--limit', '2', '--cursor', cursor, '--json'])
  expect(JSON.parse(rest.out)).toMatchObject({ key: 'list:3', state: 'fresh' })
  expect(rest.err).toBe('')
  const all = await ask([
    'keys',
    '--prefix',
    'list:',
    '--limit',
    '1',
    '--all',
    '--json',
    '--sort',
    'key',
    '--order',
    'desc',
  ])
  expect(
    all.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).key),
  ).toEqual(['list:3', 'list:2', 'list:1'])
  expect((await ask(['keys', '--tag', 'even', '--json'])).out).toMatch(/^\{"key":"list:2".*\}\n$/)
})

test(
  'invalidate takes out what is named, in another tenant too, and says how much went; a dry run takes nothing',
  BOUND,
  async () => {
    await put('gone:1', 1)
    await put('gone:2', 2, ['going'])
    const would = await ask(['invalidate', '--pattern', 'gone:*', '--dry-run'])
    expect(would.out).toMatch(/^Would invalidate 2 keys, and 0 that depend on them.*\n {2}"gone:1"\n {2}"gone:2"\n$/)
    expect((await ask(['get', 'gone:1'])).out).toBe('1\n')

    const gone = await ask(['invalidate', 'gone:1', 'gone:9', '--reason', 'a test', '--request-id', 'cli-1'])
    expect(gone).toMatchObject({ exitCode: 0, err: '' })
    expect(gone.out).toMatch(
      /^Invalidated 2 keys; 1 were in the memory of the server\. \d+ ms\.\nrequest {2}cli-1\nposition \S+\n$/,
    )
    expect((await ask(['get', 'gone:1'])).exitCode).toBe(1)
    const again = await ask(['invalidate', 'gone:1', 'gone:9', '--reason', 'a test', '--request-id', 'cli-1', '--json'])
    expect(JSON.parse(again.out)).toMatchObject({ request_id: 'cli-1', removed: { l1: 1 } })

    expect((await ask(['invalidate', '--tag', 'going', '--tenant', 'other'])).out).toContain('0 were in the memory')
    expect((await ask(['get', 'gone:2'])).out).toBe('2\n')
    expect((await ask(['invalidate', '--tag', 'going', '--soft'])).out).toMatch(/^Expired 1 key/)
  },
)

test('journal prints who did what and why, follows what comes, and is verified', BOUND, async () => {
  await ask(['invalidate', 'j:1', '--reason', 'the first', '--request-id', 'j-1'])
  await until(async () => (await ask(['journal', '--request-id', 'j-1', '--json'])).out !== '')
  const table = await ask(['journal', '--request-id', 'j-1'])
  expect(table.out).toMatch(/\| request \| j:1 +\|.*\| the first +\| j-1 /)

  const stop = new AbortController()
  const seen = new Promise<string>((resolve) => {
    void ask(['journal', '--follow', '--origin', 'request', '--limit', '1'], {
      stopped: stop.signal,
      onOut: (all) => {
        if (all.includes('"j:2"')) stop.abort()
      },
    }).then(({ out }) => resolve(out))
  })
  await ask(['invalidate', 'j:2', '--request-id', 'j-2'])
  expect((await seen).match(/"j:2"/g)).toHaveLength(1)

  expect((await ask(['journal', 'verify'])).out).toMatch(/^Intact: \d+ records in 1 chain\.\n$/)
  const all = await ask(['journal', 'verify', '--scope', 'all', '--json'])
  expect(JSON.parse(all.out)).toMatchObject({ intact: true, signed: true })
})

test('top prints a line each time for a program, and a page over itself for a person', BOUND, async () => {
  await put('top:1', 1)
  const lines = await ask(['top', '--interval', '0.1', '--count', '2'])
  expect(lines.out).toMatch(/^(\S+ {2}reads [\d,]+\/s .* log following {2}current {2}processes 1 {2}lag 0 B\n){2}$/)
  const [look] = (await ask(['top', '--interval', '0.1', '--count', '1', '--json'])).out.split('\n')
  expect(JSON.parse(look!)).toMatchObject({ log: 'following', current: true, processes: [{ self: true }] })

  const stop = new AbortController()
  const page = await ask(['top', '--interval', '0.1'], {
    isTerminal: true,
    stopped: stop.signal,
    onOut: () => stop.abort(),
  })
  expect(page.out.startsWith('\u001b[H\u001b[J\u001b[1mhttp://')).toBe(true)
  expect(page.out).toContain('\u001b[32mfollowing\u001b[39m')
  const plain = await ask(['top', '--interval', '0.1', '--count', '1'], { isTerminal: true, env: { NO_COLOR: '1' } })
  expect(plain.out.slice(6)).not.toContain('\u001b')
  expect((await ask(['top', '--interval', '0'])).exitCode).toBe(2)
})

test('what the server refuses is said with its code; what is no command line, before it is asked', BOUND, async () => {
  const refused = await ask(['invalidate', '--pattern', '(', '--syntax', 'regex'])
  expect(refused).toMatchObject({ out: '', exitCode: 2, err: expect.stringMatching(/^tidemark: TIDEMARK_PATTERN: /) })
  expect((await ask(['get', 'x'.repeat(2_000)])).exitCode).toBe(2)
  expect((await ask(['keys', '--sort', 'color'])).err).toMatch(/^tidemark: TIDEMARK_PARAMETER: .*sort/s)
  for (const args of [
    ['invalidate'],
    ['invalidate', 'a', '--pattern', 'b'],
    ['get'],
    ['get', 'a', '--server', 'nowhere'],
  ])
    expect((await ask(args)).exitCode, args.join(' ')).toBe(2)
  const missing = await ask(['get', 'a'], { env: { TIDEMARK_TOKEN_FILE: join(folder, 'none') } })
  expect(missing).toMatchObject({ exitCode: 2, err: expect.stringContaining('TIDEMARK_TOKEN_FILE') })
})

test('a server that is not there, or is none, is said with its address', BOUND, async () => {
  const closed = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => closed.once('listening', resolve))
  const nobody = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`
  await new Promise((resolve) => closed.close(resolve))
  const down = await run(['keys'], { env: { TIDEMARK_SERVER: nobody } })
  expect(down.err).toContain(`TIDEMARK_SERVICE_DOWN: No Tidemark server answers at ${nobody}: ECONNREFUSED`)
  expect(down.exitCode).toBe(1)
  const other = createServer((_, response) => response.end('<html>')).listen(0, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  const { port } = other.address() as AddressInfo
  expect((await run(['keys', '--server', `http://127.0.0.1:${port}/`])).err).toContain(
    'it answers 200, and not as Tidemark does',
  )
  other.close()
})

test('a token goes with each request, out of a file where one is named', BOUND, async () => {
  const seen: (string | undefined)[] = []
  const other = createServer((request, response) => {
    seen.push(request.headers.authorization)
    response.end('{"keys":[]}')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  const server = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
  const file = join(folder, 'token')
  writeFileSync(file, 'tdm_file\n')
  await run(['keys', '--server', server], { env: { TIDEMARK_TOKEN: 'tdm_env' } })
  await run(['keys', '--server', server], { env: { TIDEMARK_TOKEN_FILE: file } })
  await run(['keys', '--server', server])
  expect(seen).toEqual(['Bearer tdm_env', 'Bearer tdm_file', undefined])
  other.close()
})

describe('completion', () => {
  /** What bash offers for a line. */
  function offered(...words: string[]): string[] {
    const script = `${scripts.bash}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})
COMP_CWORD=${words.length - 1}
_tidemark
printf '%s\\n' "\${COMPREPLY[@]}"`
    return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split('\n')
  }
  const scripts: Record<string, string> = {}
  beforeAll(async () => {
    for (const shell of ['bash', 'zsh', 'fish']) scripts[shell] = (await run(['completion', shell])).out
  })

  test('offers commands, their own commands, and their options', () => {
    expect(offered('tidemark', 'jo')).toEqual(['journal'])
    expect(offered('tidemark', 'journal', 'v')).toEqual(['verify'])
    expect(offered('tidemark', 'tokens', '')).toEqual(expect.arrayContaining(['create', 'list', 'revoke']))
    expect(offered('tidemark', 'invalidate', 'user:1', '--dry')).toEqual(['--dry-run'])
    expect(offered('tidemark', 'invalidate', '--follo')).toEqual([''])
  })

  test('has each command in every shell, and refuses others', async () => {
    for (const script of Object.values(scripts))
      for (const name of ['serve', 'keys', 'verify']) expect(script).toContain(name)
    expect(scripts['zsh']).toContain(`'--dry-run:change nothing; say what would go'`)
    expect(scripts['fish']).toContain(`-n '__fish_seen_subcommand_from invalidate' -l dry-run`)
    expect((await run(['completion', 'toString'])).exitCode).toBe(2)
  })

  test.skipIf(lacks('zsh'))('completes in a zsh that has not begun to complete anything (needs zsh)', () => {
    const script = `${scripts['zsh']}\nprint "$_comps[tidemark]"`
    const { stdout, stderr } = spawnSync('zsh', ['-f'], { input: script, encoding: 'utf8', env: { ZDOTDIR: folder } })
    expect([stdout, stderr]).toEqual(['_tidemark\n', ''])
  })
})
