import { execFileSync, spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { documentedCommands } from './commands.js'
import { lacks } from './machine.js'
import { repositoryFiles, root } from './repository.js'

// What a newcomer does: clone, `npm start`, paste a line into a second terminal. The clone has no packages and no build,
// and lies below a folder that no other account may enter, as /root does.

const isRoot = process.geteuid!() === 0
const nobody = 65534
const startMaxMs = 400_000

const parent = fs.mkdtempSync(join(tmpdir(), 'tidemark-clone-'))
const clone = join(parent, 'My clone')
const readme = documentedCommands().filter(({ page }) => page === 'README.md')
let running: Start | undefined

beforeAll(() => {
  for (const path of repositoryFiles()) {
    fs.mkdirSync(dirname(join(clone, path)), { recursive: true })
    fs.copyFileSync(join(root, path), join(clone, path))
  }
  git('init', '-q')
  git('add', '-A')
  git('-c', 'user.name=A newcomer', '-c', 'user.email=newcomer@localhost', 'commit', '-qm', 'All of it')
})

afterEach(async () => {
  await running?.stop()
  running = undefined
})

afterAll(() => fs.rmSync(parent, { recursive: true, force: true }))

test('npm start in a bare clone serves the blog, and a row that is changed from outside shows', async () => {
  const started = start()
  const address = await started.address
  expect(await text(address)).toContain('<html')
  expect(await title(address)).not.toBe('')

  const sql = readme.find(({ command }) => command.startsWith('npx tidemark sql '))!.command
  shell(sql)
  await until(async () => sql.includes(`'${await title(address)}'`))

  await started.stop()
  expect(fs.existsSync(join(clone, '.tidemark/postgres/postmaster.pid'))).toBe(false)
}, 450_000)

test.skipIf(lacks('psql'))(
  'the psql line that the start prints can be pasted (needs psql)',
  async () => {
    const started = start()
    const address = await started.address
    const line = await started.line(/^psql '.*$/m)
    shell(line)
    await until(async () => line.includes(`'${await title(address)}'`))
  },
  300_000,
)

test.skipIf(lacks('curl'))(
  'the requests that the docs show are answered (needs curl)',
  async () => {
    const commands = documentedCommands().filter(({ command }) => command.startsWith('curl '))
    expect(commands.length).toBeGreaterThan(0)
    const { origin } = new URL(await start().address)
    for (const { command } of commands)
      shell(command.replace(/^curl /, 'curl --fail ').replaceAll('http://127.0.0.1:9400', origin))
  },
  300_000,
)

test('a start leaves nothing in the clone that git would show', () => {
  expect(git('status', '--porcelain')).toBe('')
})

// Without root there is no other user to be, and all of the above ran so.
if (isRoot)
  test('npm start works as a user other than root', async () => {
    fs.rmSync(join(clone, '.tidemark'), { recursive: true })
    fs.chmodSync(parent, 0o755)
    execFileSync('chown', ['-R', `${nobody}:${nobody}`, clone])
    const started = start({ uid: nobody, gid: nobody })
    expect(await title(await started.address)).not.toBe('')
    expect(fs.statSync(join(clone, '.tidemark/postgres')).uid).toBe(nobody)
  }, 450_000)

interface Start {
  readonly address: Promise<string>
  line(pattern: RegExp): Promise<string>
  stop(): Promise<void>
}

function start(account: { uid?: number; gid?: number } = {}): Start {
  const command = readme.find(({ command }) => command === 'npm start')!.command
  const home = account.uid === undefined ? {} : { HOME: clone }
  // As the shell of a terminal: a signal goes to npm itself, which passes it on.
  const child = spawn('sh', ['-c', `exec ${command}`], {
    ...account,
    cwd: clone,
    env: { ...environment(), ...home, TIDEMARK_PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const find = async (pattern: RegExp) => {
    await until(() => {
      if (child.exitCode !== null) throw new Error(`npm start ended:\n${output}`)
      return pattern.test(output)
    }, startMaxMs)
    return pattern.exec(output)![0]
  }
  running = {
    address: find(/^Tidemark is ready: \S+$/m).then((line) => line.split(': ')[1]!),
    line: find,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
  return running
}

/** As a newcomer's: without what this run's npm and vitest have set. */
function environment(): NodeJS.ProcessEnv {
  const isOurs = (name: string) => /^(npm_|VITEST|NODE_ENV$|TEST$|DATABASE_URL$|TIDEMARK_)/.test(name)
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOurs(name)))
}

function shell(command: string): void {
  execFileSync('sh', ['-c', command], { cwd: clone, env: environment(), stdio: 'pipe' })
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: clone, encoding: 'utf8' })
}

async function text(address: string): Promise<string> {
  return (await fetch(address)).text()
}

/** The title of the first post, out of the cache. */
async function title(address: string): Promise<string> {
  const rows = JSON.parse(await text(new URL('/api/resources/post?id=1', address).href)) as { title: string }[]
  return rows[0]!.title
}

async function until(isSo: () => boolean | Promise<boolean>, boundMs = 20_000): Promise<void> {
  const end = performance.now() + boundMs
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`not so after ${boundMs} ms: ${isSo}`)
    await sleep(50)
  }
}
