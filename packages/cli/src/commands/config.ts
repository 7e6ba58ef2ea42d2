import type { Setting } from '@tidemark/server'
import type { Command } from 'commander'
import { formatResult } from '../table.js'
import { painter, type Terminal } from '../terminal.js'
import { toPort, toRole } from './serve.js'

interface PrintOptions {
  readonly config: string
  readonly port?: string
  readonly data?: string
  readonly role?: string
  readonly json?: true
}

/** `tidemark config print`: what a server that is started so would have, and from where. */
export function configCommand(program: Command, terminal: Terminal): void {
  const config = program.command('config').summary('look at a configuration').helpCommand(false)
  config
    .command('print')
    .summary('print every setting, and where it comes from')
    .description(
      'Prints every setting that `tidemark serve` would have with the same options, and where it comes from: the default, a line of\n' +
        'the file, the environment, or an option. Secrets are masked. Starts nothing.',
    )
    .option('--config <file>', 'the configuration', 'tidemark.yaml')
    .option('--port <number>', 'as for serve')
    .option('--data <folder>', 'as for serve')
    .option('--role <role>', 'as for serve')
    .option('--json', 'print JSON')
    .action(async ({ config: file, port, data, role, json }: PrintOptions) => {
      const { settingsOf } = await import('@tidemark/server')
      const settings = settingsOf(file, terminal.env, {
        port: port === undefined ? undefined : toPort(port),
        role: role === undefined ? undefined : toRole(role),
        data,
      })
      terminal.out(json ? `${JSON.stringify(settings.map(asJson), undefined, 2)}\n` : asTable(settings, terminal))
    })
}

function asJson({ name, value, origin }: Setting) {
  return { name, value: value ?? null, origin }
}

function asTable(settings: readonly Setting[], terminal: Terminal): string {
  const paint = painter(terminal)
  const table = formatResult({
    tag: '',
    columns: ['setting', 'value', 'origin'].map((name) => ({ name, isNumber: false })),
    rows: settings.map(({ name, value, origin }) => [name, textOf(value), origin]),
  })
  // What nobody said is in the background.
  const lines = table.split('\n')
  return lines.map((line) => (line.endsWith('| default') ? paint('dim', line) : line)).join('\n')
}

function textOf(value: unknown): string {
  if (value === undefined) return '(not set)'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
