import type { Explanation, PostgresSource, SqlError } from '@tidemark/postgres'
import type { Command } from 'commander'
import { TidemarkError } from 'tidemark'
import { chooseDatabase } from '../database.js'
import { UsageError } from '../errors.js'
import type { Ends, Terminal } from '../terminal.js'

interface ExplainOptions {
  readonly url?: string
  readonly data?: string
  readonly json?: true
}

/** `tidemark explain`: what a statement depends on, and why. */
export function explainCommand(program: Command, terminal: Terminal, ends: Ends): void {
  program
    .command('explain')
    .summary('say what a query depends on, and why')
    .description(
      'Says which rows and tables a SELECT depends on, and why; what keeps its answers from being kept; and what would be better.\n' +
        'Does not run it: $1, $2 … may stand in it. Without an argument it reads the standard input.',
    )
    .argument('[sql]', 'for example "select * from posts where author_id = $1"')
    .option('--url <connection>', 'the database (default: DATABASE_URL, else the private PostgreSQL that runs)')
    .option('--data <folder>', 'the folder of the private PostgreSQL (default: TIDEMARK_DATA, else .tidemark)')
    .option('--json', 'print it as JSON')
    .action(async (argument: string | undefined, { json, ...options }: ExplainOptions) => {
      const text = argument ?? (await terminal.input())
      if (!text?.trim())
        throw new UsageError('There is no SQL to explain. Give it in quotes: tidemark explain "select 1"')
      const url = chooseDatabase({ ...options, env: terminal.env })
      // Loaded here, so that the other commands start at once.
      const { postgres } = await import('@tidemark/postgres')
      const source = postgres({ url, follow: 'off', pool: { max: 1 } })
      const explanation = await explain(source, text, terminal, ends)
      if (!explanation) return
      terminal.out(json ? `${JSON.stringify(explanation, undefined, 2)}\n` : formatExplanation(explanation))
    })
}

/** Errors in the SQL are shown with the line that they are in. */
async function explain(
  source: PostgresSource,
  text: string,
  terminal: Terminal,
  ends: Ends,
): Promise<Explanation | undefined> {
  try {
    return await source.explain(text)
  } catch (error) {
    const { place } = error as Partial<SqlError>
    if (!(error instanceof TidemarkError) || !place) throw error
    terminal.err(`tidemark: ${error.code}: ${error.message}\n${place.excerpt.replaceAll(/^/gm, '  ')}\n`)
    ends(1)
    return undefined
  } finally {
    await source.close()
  }
}

function formatExplanation({ tables, notKept }: Explanation): string {
  const blocks = tables.map(({ table, places, identity, advice }) =>
    [
      `${table}${identity ? ` (replica identity ${identity})` : ''}`,
      ...places.flatMap(({ line, tests, reads, updates }) => [
        `  ${line}`,
        ...tests.map((each) => `    tested on each row: ${each}`),
        ...(reads ? [`    columns read: ${reads.join(', ') || 'none'}`] : []),
        ...(updates ? [`    ${updates}`] : []),
      ]),
      ...advice.map((each) => `  ${each}`),
    ].join('\n'),
  )
  const verdict =
    notKept.length > 0
      ? notKept.join('\n')
      : tables.length === 0
        ? 'It depends on nothing: give its entry a ttl, tags, or static: true.'
        : 'Its answers are kept until a change touches one of these.'
  return `${[...blocks, verdict].join('\n\n')}\n`
}
