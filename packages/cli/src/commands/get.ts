import type { Command } from 'commander'
import { onService, type ServiceOptions, serviceOf } from '../service.js'
import type { Ends, Terminal } from '../terminal.js'

interface Got {
  readonly entries: readonly {
    readonly key: string
    readonly found: boolean
    readonly value?: unknown
  }[]
}

/** `tidemark get`: what is stored. Ends with 1 if a key has nothing. */
export function getCommand(program: Command, terminal: Terminal, ends: Ends): void {
  onService(program.command('get').summary('print what is stored under keys'))
    .description('Prints the value that is stored under each key, as JSON, a line for each. Loads nothing.')
    .argument('<key...>', 'for example user:7')
    .action(async (keys: readonly string[], options: ServiceOptions) => {
      const service = serviceOf(options, terminal)
      const { entries } = await service.ask<Got>('/api/cache/batch/get', { method: 'POST', body: { keys } })
      if (options.json) terminal.out(`${JSON.stringify(entries, undefined, 2)}\n`)
      for (const { key, found, value } of entries) {
        if (found && !options.json) terminal.out(`${JSON.stringify(value)}\n`)
        if (!found && !options.json) terminal.err(`Nothing is stored under ${JSON.stringify(key)}.\n`)
        if (!found) ends(1)
      }
    })
}
