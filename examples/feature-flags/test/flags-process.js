import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/**
 * Starts what `npm run demo:flags` starts after its build, in a process of its own.
 *
 * @param {string} data  the data folder
 * @throws Error with what it printed, if it ends
 */
export async function startFlags(data) {
  const { DATABASE_URL: _, ...env } = process.env
  const program = fileURLToPath(new URL('../start.js', import.meta.url))
  const child = spawn(process.execPath, [program, '--port', '0', '--data', data], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'exit')
  let printed = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      printed += text
    })
  while (!printed.includes('psql ')) {
    if (child.exitCode !== null) throw new Error(`It ended with ${child.exitCode}: ${printed}`)
    await Promise.race([once(child.stdout, 'data'), ended])
  }
  return {
    url: /^Tidemark is ready: (\S+)$/m.exec(printed)?.[1] ?? '',
    database: /^psql '([^']+)'/m.exec(printed)?.[1] ?? '',
    /** The statement of the line to paste into another terminal. */
    statement: /-c "([^"]+)"/.exec(printed)?.[1] ?? '',
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}
