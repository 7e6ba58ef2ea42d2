import type { Command } from 'commander'
import pg from 'pg'
import { SourceDownError } from 'tidemark'
import { connect, reasonOf } from '../connect.js'
import { chooseDatabase } from '../database.js'
import { StatementError, UsageError } from '../errors.js'
import { formatResult, type Result } from '../table.js'
import type { Terminal } from '../terminal.js'

interface SqlOptions {
  readonly url?: string
  readonly data?: string
}

/** `tidemark sql`: for machines without psql. */
export function sqlCommand(program: Command, terminal: Terminal): void {
  program
    .command('sql')
    .summary('run SQL in the database, as psql would')
    .description(
      'Runs SQL and prints what came of it. Several statements, parted by semicolons, are one transaction.\n' +
        'Without an argument it reads the standard input.',
    )
    .argument('[statements]', 'for example "update posts set title = \'Hello\' where id = 1"')
    .option('--url <connection>', 'the database (default: DATABASE_URL, else the private PostgreSQL that runs)')
    .option('--data <folder>', 'the folder of the private PostgreSQL (default: TIDEMARK_DATA, else .tidemark)')
    .action(async (argument: string | undefined, options: SqlOptions) => {
      const statements = argument ?? (await terminal.input())
      if (!statements?.trim())
        throw new UsageError('There is no SQL to run. Give it in quotes: tidemark sql "select 1"')
      const url = chooseDatabase({ ...options, env: terminal.env })
      for (const result of await run(url, statements)) terminal.out(formatResult(result))
    })
}

async function run(url: string, statements: string): Promise<Result[]> {
  const client = await connect(url, 'tidemark sql')
  try {
    // Values stay the text that PostgreSQL sent: what is printed is what is stored.
    const types = { getTypeParser: () => (value: string) => value }
    const answer = (await client.query({ text: statements, rowMode: 'array', types })) as unknown
    return (Array.isArray(answer) ? answer : [answer]).map(toResult)
  } catch (cause) {
    throw toStatementError(cause, statements)
  } finally {
    await client.end().catch(() => {})
  }
}

const NUMBERS = new Set([20, 21, 23, 26, 700, 701, 790, 1700])

function toResult({ command, rowCount, fields, rows }: pg.QueryArrayResult<(string | null)[]>): Result {
  const isRead = command === 'SELECT' || command === 'SHOW' || command === 'EXPLAIN'
  const count = rowCount === null ? '' : command === 'INSERT' ? ` 0 ${rowCount}` : ` ${rowCount}`
  return {
    tag: isRead ? '' : `${command ?? ''}${count}`,
    columns: fields.map(({ name, dataTypeID }) => ({ name, isNumber: NUMBERS.has(dataTypeID) })),
    rows,
  }
}

function toStatementError(cause: unknown, statements: string): Error {
  if (!(cause instanceof pg.DatabaseError)) {
    return new SourceDownError(`The connection to the database was lost: ${reasonOf(cause)}. It may have run or not.`, {
      cause,
    })
  }
  const { code = 'XX000', message, position, detail, hint } = cause
  const before = position ? [...statements].slice(0, Number(position) - 1).join('') : undefined
  const place =
    before === undefined
      ? ''
      : ` (line ${before.split('\n').length}, column ${before.length - before.lastIndexOf('\n')})`
  const more = [detail, hint].filter(Boolean).map((text) => ` ${text}`)
  // A message that a trigger raises may be a whole sentence.
  return new StatementError(code, `${code} ${message.replace(/\.$/, '')}${place}.${more.join('')}`, { cause })
}
