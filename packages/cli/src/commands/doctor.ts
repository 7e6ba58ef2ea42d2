import type { Command } from 'commander'
import { chooseDatabase } from '../database.js'
import type { Terminal } from '../terminal.js'

/** `tidemark doctor` */
export function doctorCommand(program: Command, terminal: Terminal, _ends: (code: number) => void): void {
  program
    .command('doctor')
    .summary('what following a database needs, and what it lacks')
    .action(() => {
      terminal.out(chooseDatabase({ env: terminal.env }))
    })
}
