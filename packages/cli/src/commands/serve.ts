import type { Command } from 'commander'
import { UsageError } from '../errors.js'
import type { Terminal } from '../terminal.js'

interface ServeOptions {
  readonly config: string
  readonly port?: string
  readonly data?: string
  readonly role?: string
}

/** `tidemark serve`: resolves when the server listens; the server keeps the process alive. */
export function serveCommand(program: Command, terminal: Terminal): void {
  program
    .command('serve')
    .summary('serve the resources that a configuration declares')
    .description(
      'Serves the resources that a configuration declares, over HTTP, out of a cache that follows PostgreSQL.',
    )
    .option('--config <file>', 'the configuration', 'tidemark.yaml')
    .option('--port <number>', 'the port; 0 for any free one (default: TIDEMARK_PORT, else 9400 or the next free one)')
    .option('--data <folder>', 'the folder of the private PostgreSQL (default: TIDEMARK_DATA, else .tidemark)')
    .option(
      '--role <role>',
      'with a relay: auto; follower, which never reads the log itself; or leader, which reads nothing else (default: relay.role, else auto)',
    )
    .action(async ({ config, port, data, role }: ServeOptions) => {
      const options = {
        config,
        port: port === undefined ? undefined : toPort(port),
        role: role === undefined ? undefined : toRole(role),
        dataDir: data,
        env: terminal.env,
      }
      // Loaded here, so that the other commands start at once.
      const { serve } = await import('@tidemark/server')
      const running = await serve(options)
      terminal.out(`Tidemark is ready: ${running.url}\n`)
      if (running.database.embedded) terminal.out(`Its database:      psql '${running.database.url}'\n`)
    })
}

/** @throws UsageError */
export function toPort(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port
  throw new UsageError('--port is a whole number from 0 (any free port) to 65535.')
}

/** @throws UsageError */
export function toRole(text: string): 'auto' | 'leader' | 'follower' {
  if (text === 'auto' || text === 'leader' || text === 'follower') return text
  throw new UsageError('--role is auto, leader or follower.')
}
