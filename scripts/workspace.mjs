// What every script needs first: a Node that is new enough, the packages, and the build. This file must parse on old
// versions of Node, so that they get the message instead of a syntax error.
import { spawn } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** A failure whose message says all that a reader needs; scripts print it without a stack. */
export class ScriptError extends Error {}

/** Stops the script where Node is older than `engines` of package.json allows. */
export function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  throw new ScriptError(`Tidemark needs Node 20.19 or newer; this is ${process.version} (${process.execPath}).`)
}

/** Installs the packages if they are missing or older than package-lock.json. */
export async function install() {
  if (isInstalled()) return
  console.log('Installing the packages (npm ci)…')
  // Whatever NODE_ENV and the user's npm settings say: the build needs the development packages, and the embedded
  // PostgreSQL is an optional one.
  await run(...npm('ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'))
}

function isInstalled() {
  // npm writes this file last.
  const written = join(root, 'node_modules', '.package-lock.json')
  return existsSync(written) && statSync(written).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs
}

/** Compiles what has changed since the last build. */
export async function build() {
  await run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b', '--pretty', 'false'])
}

/** The command line of an npm: the one that runs us, else the one in the PATH. */
export function npm(...args) {
  const own = process.env.npm_execpath
  return own?.endsWith('.js') ? [process.execPath, [own, ...args]] : ['npm', args]
}

/**
 * Runs a program in the repository, with our output.
 *
 * @throws ScriptError if it fails
 */
export async function run(command, args, options) {
  const code = await exitOf(command, args, options)
  if (code !== 0) throw new ScriptError(`Failed (${code}): ${[command, ...args].join(' ')}`)
}

/** Runs a program; resolves with its exit code, or the signal or error that ended it. Signals to us reach it too. */
export function exitOf(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], ...options })
    const forward = (signal) => child.kill(signal)
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
    for (const signal of signals) process.on(signal, forward)
    const end = (how) => {
      for (const signal of signals) process.off(signal, forward)
      resolve(how)
    }
    child.once('error', (error) => end(error.message))
    child.once('exit', (code, signal) => end(signal === null ? code : signal))
  })
}

/** Runs a script's main function; a ScriptError is printed as its message alone. */
export function main(script) {
  Promise.resolve()
    .then(script)
    .catch((error) => {
      console.error(error instanceof ScriptError ? error.message : error)
      process.exitCode = 1
    })
}
