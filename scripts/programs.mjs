// Programs and rights that tests need and npm cannot install.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, isAbsolute, join } from 'node:path'
import { exitOf } from './workspace.mjs'

/** The binaries of Debian's PostgreSQL 15. */
export const postgres15 = '/usr/lib/postgresql/15/bin'

/** `name` is what tests say in their names: "(needs psql)". */
const programs = [
  { name: 'chromium', debianPackage: 'chromium', commands: ['chromium', 'chromium-browser', 'google-chrome'] },
  { name: 'curl', debianPackage: 'curl', commands: ['curl'] },
  {
    name: 'postgresql-15',
    debianPackage: 'postgresql-15',
    commands: [join(postgres15, 'postgres')],
    prepare: wantNoCluster,
  },
  {
    name: 'redis-server',
    debianPackage: 'redis-server',
    commands: ['redis-server'],
  },
  { name: 'valkey-server', debianPackage: 'valkey-server', commands: ['valkey-server'] },
  { name: 'haproxy', debianPackage: 'haproxy', commands: ['haproxy', '/usr/sbin/haproxy'] },
  { name: 'psql', debianPackage: 'postgresql-client', commands: ['psql'] },
  { name: 'zsh', debianPackage: 'zsh', commands: ['zsh'] },
]

/** What tests need and no package gives: `name` as above. */
const rights = [{ name: 'mount', isThere: mayMount, how: 'as root, where file systems may be mounted' }]

/** Installs what is missing where we may (root on Debian), and returns the names of what is missing still. */
export async function findMissing() {
  let missing = programs.filter((program) => !isThere(program))
  if (missing.length > 0 && process.geteuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    for (const program of missing) program.prepare?.()
    await installPackages(missing.map((program) => program.debianPackage))
    missing = missing.filter((program) => !isThere(program))
  }
  if (missing.length > 0) {
    const packages = missing.map((program) => program.debianPackage).join(' ')
    console.log(`Missing: ${missing.map((program) => program.name).join(', ')}. The tests that need them are skipped.`)
    console.log(`To run them, first: sudo apt-get install ${packages}`)
  }
  const refused = rights.filter((right) => !right.isThere())
  for (const { name, how } of refused) console.log(`Not possible here: ${name}. The tests that need it run ${how}.`)
  return [...missing, ...refused].map(({ name }) => name)
}

function mayMount() {
  if (process.geteuid?.() !== 0 || process.platform !== 'linux') return false
  // In a namespace of its own, which is gone with it.
  return spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tidemark', '/mnt'], { stdio: 'ignore' }).status === 0
}

function isThere({ commands }) {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return commands.some((command) =>
    (isAbsolute(command) ? [command] : folders.map((folder) => join(folder, command))).some(isExecutable),
  )
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Debian's server package makes a database of its own and starts it, unless it is told not to. Tests need the binaries only. */
function wantNoCluster() {
  const file = '/etc/postgresql-common/createcluster.conf'
  if (existsSync(file)) return
  mkdirSync('/etc/postgresql-common', { recursive: true })
  writeFileSync(file, 'create_main_cluster = false\n')
}

async function installPackages(packages) {
  console.log(`Installing with apt-get: ${packages.join(' ')}…`)
  await exitOf('apt-get', ['update', '-qq'], aptOptions)
  // One that apt does not know would have it install none.
  const known = packages.filter(isKnown)
  if (known.length > 0) await aptInstall(known)
  const unknown = packages.filter((name) => !known.includes(name))
  if (unknown.length > 0) await installBackports(unknown)
}

const aptOptions = {
  env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  stdio: ['ignore', 'ignore', 'inherit'],
}

function aptInstall(packages, options = []) {
  const quiet = ['-y', '-qq', '--no-install-recommends', '-o', 'Dpkg::Options::=--force-confold']
  return exitOf('apt-get', [...options, 'install', ...quiet, ...packages], aptOptions)
}

function isKnown(name) {
  return /Candidate: \d/.test(answerOf('apt-cache', ['policy', name]))
}

/** Debian has some programs for a release only among its backports, which are named to apt for this once: its own lists stay as they are. */
async function installBackports(packages) {
  const release = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
  const targets = answerOf('apt-get', ['indextargets', '--format', '$(REPO_URI) $(CODENAME)', 'Identifier: Packages'])
  const mirror = targets.split('\n').find((line) => line.endsWith(`/debian/ ${release}`))
  if (!mirror) return
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-apt-'))
  try {
    const list = join(folder, 'backports.list')
    const own = existsSync('/etc/apt/sources.list') ? readFileSync('/etc/apt/sources.list', 'utf8') : ''
    writeFileSync(list, `${own}\ndeb ${mirror.split(' ')[0]} ${release}-backports main\n`)
    const withBackports = ['-o', `Dir::Etc::SourceList=${list}`]
    await exitOf('apt-get', [...withBackports, 'update', '-qq'], aptOptions)
    await aptInstall(packages, withBackports)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function answerOf(command, args) {
  return spawnSync(command, args, { encoding: 'utf8' }).stdout ?? ''
}
