import type { Summary } from '@tidemark/server'
import type { Command } from 'commander'
import { type DatabaseOptions, onClient, onDatabase } from '../database.js'
import type { Terminal } from '../terminal.js'
import { version } from '../version.js'

interface RestoreOptions extends DatabaseOptions {
  readonly replace?: true
  readonly dryRun?: true
}

/** `tidemark backup`: what a server keeps of its own, in a file. */
export function backupCommand(program: Command, terminal: Terminal): void {
  onDatabase(program.command('backup').summary('write tokens, config trees and the journal into a file'))
    .description(
      'Writes tokens (as hashes), config trees with their history, and the journal into a file: one snapshot of all, while the server runs.\n' +
        'What applications keep in the database is not in it.',
    )
    .argument('<file>', 'for example tidemark.backup')
    .action(async (file: string, options: DatabaseOptions) => {
      const { backup } = await import('@tidemark/server')
      const summary = await onClient(options, terminal, 'tidemark backup', (client) =>
        backup(client, file, `tidemark ${version()}`),
      )
      terminal.out(options.json ? asJson(summary) : `Backed up, as of ${summary.header.position}:\n${counts(summary)}`)
    })
}

/** `tidemark restore`: all of a backup, or nothing. */
export function restoreCommand(program: Command, terminal: Terminal): void {
  onDatabase(program.command('restore').summary('check a backup, and restore it'))
    .description(
      'Checks a backup (its SHA-256, its rows, the chains of the journal), and restores all of it in one transaction, or nothing. The server may run,\n' +
        'also one of a later version. Where there is something already it is refused, but with --replace.',
    )
    .argument('<file>', 'that tidemark backup wrote')
    .option('--replace', 'take out what is there')
    .option('--dry-run', 'only check the file')
    .action(async (file: string, { replace, dryRun, ...options }: RestoreOptions) => {
      const { checkBackup, restore } = await import('@tidemark/server')
      const summary = dryRun
        ? await checkBackup(file)
        : await onClient(options, terminal, 'tidemark restore', (client) =>
            restore(client, file, { replace: replace ?? false }),
          )
      const done = dryRun ? 'It can be read' : 'Restored'
      terminal.out(options.json ? asJson(summary) : `${done}, as of ${summary.header.at}:\n${counts(summary)}`)
    })
}

function counts({ counts }: Summary): string {
  if (counts.size === 0) return '  nothing: there are no tokens, trees or journal\n'
  return [...counts].map(([table, count]) => `  ${String(count).padStart(10)}  ${table}\n`).join('')
}

function asJson({ header: { at, position, program }, rows, counts }: Summary): string {
  return `${JSON.stringify({ at, position, program, rows, tables: Object.fromEntries(counts) }, undefined, 2)}\n`
}
