import { Command, CommanderError } from 'commander'
import { TidemarkError } from 'tidemark'
import { backupCommand, restoreCommand } from './commands/backup.js'
import { completionCommand } from './commands/completion.js'
import { configCommand } from './commands/config.js'
import { doctorCommand } from './commands/doctor.js'
import { explainCommand } from './commands/explain.js'
import { getCommand } from './commands/get.js'
import { invalidateCommand } from './commands/invalidate.js'
import { journalCommand } from './commands/journal.js'
import { keysCommand } from './commands/keys.js'
import { serveCommand } from './commands/serve.js'
import { sqlCommand } from './commands/sql.js'
import { tokensCommand } from './commands/tokens.js'
import { topCommand } from './commands/top.js'
import { ServiceProblemError } from './errors.js'
import type { Ends, Terminal } from './terminal.js'
import { version } from './version.js'

/** In the order of the help: to serve, to look at the database, to ask a server that runs. */
const COMMANDS = [
  serveCommand,
  configCommand,
  sqlCommand,
  explainCommand,
  doctorCommand,
  tokensCommand,
  backupCommand,
  restoreCommand,
  getCommand,
  keysCommand,
  invalidateCommand,
  journalCommand,
  topCommand,
  completionCommand,
]

/**
 * Runs one command line.
 *
 * @returns the exit code: 0 done; 1 it failed; 2 the command line is wrong. Never throws.
 */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  const program = new Command('tidemark')
    .description('Caches that follow PostgreSQL and are never stale.')
    .version(version(), '-V, --version', 'print the version')
    .option('--debug', 'print where an error comes from')
    .helpCommand(false)
    .showHelpAfterError('Run tidemark --help to see what there is.')
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .exitOverride()
  let exitCode = 0
  const ends: Ends = (code) => {
    exitCode = code
  }
  for (const add of COMMANDS) add(program, terminal, ends)
  try {
    await program.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    return report(error, terminal, program.opts<{ debug?: boolean }>().debug ?? false)
  }
}

function report(error: unknown, terminal: Terminal, isDebug: boolean): number {
  // Commander has printed these itself; asking for help or the version is no failure.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof TidemarkError) terminal.err(`tidemark: ${error.code}: ${error.message}\n`)
  else terminal.err(`tidemark: ${error instanceof Error ? error.message : String(error)}\n`)
  if (isDebug) terminal.err(`${inspectChain(error)}\n`)
  return isOfCommandLine(error) ? 2 : 1
}

/** Some of what a command line says only the server can judge. */
function isOfCommandLine(error: unknown): boolean {
  if (error instanceof ServiceProblemError) return error.status === 400 || error.status === 422
  return error instanceof TidemarkError && error.code === 'TIDEMARK_USAGE'
}

function inspectChain(error: unknown): string {
  if (!(error instanceof Error)) return ''
  return [error.stack ?? '', error.cause === undefined ? '' : `caused by: ${inspectChain(error.cause)}`].join('\n')
}
