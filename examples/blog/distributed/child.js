import { spawn } from 'node:child_process'

/**
 * A program that runs until it is stopped, and is started again where it ends by itself.
 *
 * @param {object} options
 * @param {string} options.command
 * @param {readonly string[]} options.args
 * @param {Record<string, string | undefined>} [options.env]
 * @param {number} options.againAfterMs  how long after its end it is started again
 * @param {(child: { pid: number, before: number | undefined }) => void} options.started  it runs, for the first time or again
 */
export function keep({ command, args, env = process.env, againAfterMs, started }) {
  let child
  let timer
  let isStopping = false
  const start = (before) => {
    // A group of its own: what a terminal interrupts is stopped in order, not all at once.
    child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'inherit'], detached: true })
    const { pid } = child
    child.once('spawn', () => started({ pid, before }))
    child.once('error', () => {})
    child.once('exit', () => {
      if (!isStopping) timer = setTimeout(() => start(pid), againAfterMs)
    })
  }
  start(undefined)
  return {
    get pid() {
      return child.pid
    },
    /** Resolves once it has ended; it is killed where it does not end by itself. */
    async stop(graceMs = 10_000) {
      isStopping = true
      clearTimeout(timer)
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      const force = setTimeout(() => child.kill('SIGKILL'), graceMs)
      await ended
      clearTimeout(force)
    },
  }
}
