import type { Finding } from '@tidemark/postgres'
import type { Command } from 'commander'
import { chooseDatabase } from '../database.js'
import type { Ends, Terminal } from '../terminal.js'

const SEVERITIES = ['error', 'warning', 'advice'] as const
/** A fix of more lines is not shown among the findings. */
const LINES_MAX = 20

interface DoctorOptions {
  readonly url?: string
  readonly directUrl?: string
  readonly data?: string
  readonly publication?: string
  readonly slot?: string
  readonly sql?: true
  readonly json?: true
}

/** `tidemark doctor`: ends with 1 if something keeps the database from being followed. */
export function doctorCommand(program: Command, terminal: Terminal, ends: Ends): void {
  program
    .command('doctor')
    .summary('say what following a database needs, and what it lacks')
    .description('Looks at what following a database needs: settings, rights, tables, slots. Changes nothing.')
    .option('--url <connection>', 'the database (default: DATABASE_URL, else the private PostgreSQL that runs)')
    .option('--direct-url <connection>', "the server's own address, where --url is a pooler's")
    .option('--data <folder>', 'the folder of the private PostgreSQL (default: TIDEMARK_DATA, else .tidemark)')
    .option('--publication <name>', 'the publication that the application uses (default: tidemark)')
    .option('--slot <name>', 'the shared slot, if the application uses one')
    .option('--sql', 'print only the SQL that mends it, to give to a database administrator')
    .option('--json', 'print the findings as JSON')
    .action(async ({ url, data, sql, json, ...options }: DoctorOptions) => {
      const database = chooseDatabase({ url, data, env: terminal.env })
      // Loaded here, so that the other commands start at once.
      const { doctor, doctorSql } = await import('@tidemark/postgres')
      const findings = await doctor(database, options)
      if (json) terminal.out(`${JSON.stringify(findings, undefined, 2)}\n`)
      else if (sql) terminal.out(doctorSql(findings))
      else terminal.out(formatFindings(findings))
      if (findings.some(({ severity }) => severity === 'error')) ends(1)
    })
}

/** What is wrong comes first, each with what it costs and what to do; then one line for each thing that is well. */
function formatFindings(findings: readonly Finding[]): string {
  const wrong = SEVERITIES.flatMap((each) => findings.filter(({ severity }) => severity === each))
  const well = findings.filter(({ severity }) => severity === 'ok')
  const blocks = wrong.map(({ severity, code, title, cost, fix }) =>
    [
      `${severity.toUpperCase()} ${code}: ${title}`,
      ...indented(cost),
      ...indented(fix === title ? '' : shortened(fix)),
    ].join('\n'),
  )
  const lines = well.map(({ code, title }) => `ok ${code}: ${title}`)
  const verdict = findings.some(({ severity }) => severity === 'error')
    ? 'This database cannot be followed as it is.'
    : 'This database can be followed.'
  return `${[...blocks, lines.join('\n'), verdict].filter(Boolean).join('\n\n')}\n`
}

/** A long script would hide the other findings. */
function shortened(fix: string): string {
  const { length } = fix.split('\n')
  return length > LINES_MAX ? `(SQL of ${length} lines: tidemark doctor --sql prints it)` : fix
}

function indented(text: string): string[] {
  return text ? text.split('\n').map((line) => `  ${line}`) : []
}
