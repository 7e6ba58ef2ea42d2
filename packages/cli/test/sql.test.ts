import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Embedded, startEmbedded } from '@tidemark/embedded'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from './run.js'

let dataDir: string
let database: Embedded

beforeAll(async () => {
  dataDir = fs.mkdtempSync(join(tmpdir(), 'tidemark-cli-'))
  database = await startEmbedded({ dataDir, isDurable: false })
})

afterAll(async () => {
  await database?.stop()
  fs.rmSync(dataDir, { recursive: true, force: true })
})

test('sql finds the PostgreSQL that runs in the data folder, and prints what each statement did', async () => {
  const made = await run(
    ['sql', 'create table t (id bigint, name text); insert into t values (1, null), (20, $$x$$)'],
    {
      env: { TIDEMARK_DATA: dataDir },
    },
  )
  expect(made).toEqual({ out: 'CREATE\nINSERT 0 2\n', err: '', exitCode: 0 })
  const read = await run(['sql', 'select * from t order by id', '--data', dataDir])
  expect(read.out).toBe(' id | name\n----+------\n  1 |\n 20 | x\n(2 rows)\n\n')
})

test('sql runs what comes by standard input', async () => {
  const ran = await run(['sql', '--url', database.url], { input: 'select 9007199254740993 as large;' })
  expect(ran.out).toContain(' 9007199254740993\n')
})

test('the database that is named on the command line goes before the one of the environment', async () => {
  const env = { DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none' }
  expect((await run(['sql', 'select 1', '--url', database.url], { env })).exitCode).toBe(0)
  expect((await run(['sql', 'select 1', '--data', dataDir], { env })).exitCode).toBe(0)
  const refused = await run(['sql', 'select 1'], { env })
  expect(refused.exitCode).toBe(1)
  expect(refused.err).toMatch(/^tidemark: TIDEMARK_SOURCE_DOWN: .*ECONNREFUSED/)
})

test('a statement that fails is one line with the place, and exit code 1', async () => {
  const ran = await run(['sql', 'select 1;\nselect nope', '--data', dataDir])
  expect(ran).toEqual({
    out: '',
    err: 'tidemark: TIDEMARK_STATEMENT: 42703 column "nope" does not exist (line 2, column 8).\n',
    exitCode: 1,
  })
})

test('what a trigger refuses in a whole sentence ends with one full stop', async () => {
  const refusal = "do $$ begin raise exception 'It is refused.' using hint = 'Ask first.'; end $$"
  const ran = await run(['sql', refusal, '--data', dataDir])
  expect(ran.err).toBe('tidemark: TIDEMARK_STATEMENT: P0001 It is refused. Ask first.\n')
})

test('no database to be found says how to name one', async () => {
  const empty = fs.mkdtempSync(join(tmpdir(), 'tidemark-none-'))
  const ran = await run(['sql', 'select 1', '--data', empty])
  fs.rmSync(empty, { recursive: true })
  expect(ran.exitCode).toBe(1)
  expect(ran.err).toContain(`TIDEMARK_NO_DATABASE: No database is named, and no private PostgreSQL runs in ${empty}`)
})

test('a PostgreSQL that was killed is not taken for one that runs', async () => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'tidemark-dead-'))
  fs.mkdirSync(join(folder, 'postgres'))
  fs.writeFileSync(join(folder, 'postgres', 'postmaster.pid'), '2147483646\n/x\n0\n5432\n/tmp/gone\n')
  const ran = await run(['sql', 'select 1', '--data', folder])
  fs.rmSync(folder, { recursive: true })
  expect(ran.err).toContain('TIDEMARK_NO_DATABASE')
})

test('a wrong command line ends with 2, help and the version with 0', async () => {
  expect(await run(['sql'])).toMatchObject({ exitCode: 2, err: expect.stringContaining('TIDEMARK_USAGE') })
  expect(await run(['sqll'])).toMatchObject({ exitCode: 2, err: expect.stringContaining('Did you mean sql?') })
  expect(await run(['sql', '--nope'])).toMatchObject({ exitCode: 2, err: expect.stringContaining('--nope') })
  expect(await run(['serve', '--port', '70000'])).toMatchObject({ exitCode: 2, err: expect.stringContaining('65535') })
  expect(await run([])).toMatchObject({ exitCode: 2, err: expect.stringContaining('Usage: tidemark') })
  expect(await run(['--version'])).toMatchObject({ exitCode: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+/) })
  const help = await run(['--help'])
  expect(help).toMatchObject({ exitCode: 0, err: '' })
  for (const verb of ['serve', 'sql', 'doctor']) expect(help.out).toContain(verb)
})

test('no stack trace is shown unless it is asked for', async () => {
  expect((await run(['sql', 'nope', '--data', dataDir])).err).not.toContain('    at ')
  expect((await run(['--debug', 'sql', 'nope', '--data', dataDir])).err).toContain('    at ')
})
