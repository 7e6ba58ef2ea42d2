import type { Client } from 'pg'
import { type Finding, ok, warning } from './finding.js'

interface Limit {
  /** Below this it ends what is healthy, in milliseconds. */
  readonly leastMs: number
  readonly cost: string
  /** What to set instead. */
  readonly instead: string
}

/**
 * What the role, the database, or the server bounds the loaders' queries by. A second is what a moment of load, a cold cache or a busy
 * process takes of any of them.
 */
const LIMITS: Readonly<Record<string, Limit>> = {
  statement_timeout: {
    leastMs: 1_000,
    cost: "A loader's query that takes longer is cancelled, and the read fails (TIDEMARK_SQL, 57014).",
    instead: '30s',
  },
  transaction_timeout: {
    leastMs: 1_000,
    cost: "A loader's query or transaction that takes longer loses its connection, and the read fails (TIDEMARK_SQL, 25P04).",
    instead: '60s',
  },
  lock_timeout: {
    leastMs: 1_000,
    cost: 'While a migration holds the lock of a table for longer, reads of it fail (TIDEMARK_SQL, 55P03).',
    instead: '5s',
  },
  idle_in_transaction_session_timeout: {
    leastMs: 1_000,
    cost: "A loader's transaction in which the process is busy for longer loses its connection, and the read fails (TIDEMARK_SQL, 25P03).",
    instead: '60s',
  },
  idle_session_timeout: {
    // The pool itself ends a connection that is idle for so long.
    leastMs: 10_000,
    cost: 'Connections of the pool end between reads and are opened anew; a read at that very moment fails (TIDEMARK_SOURCE_DOWN).',
    instead: '0',
  },
}

interface LimitRow {
  readonly name: string
  readonly ms: number
  readonly source: string
  readonly role: string
  readonly database: string
}

/**
 * The time limits of the connections that loaders use, where they are so short that they end what is healthy. Those that follow the log
 * set their own.
 *
 * @param client  opened as loaders open theirs, with nothing set
 */
export async function checkTimeLimits(client: Client): Promise<Finding[]> {
  // No parameters: behind a pooler two statements may run on two connections.
  const { rows } = await client.query<LimitRow>(
    `select name, setting::float8 as ms, source, format('%I', session_user) as role, format('%I', current_database()) as database
     from pg_settings where setting <> '0' and name in (${Object.keys(LIMITS)
       .map((name) => `'${name}'`)
       .join(', ')}) order by name`,
  )
  const code = 'time-limits'
  const short = rows.filter(({ name, ms }) => ms < LIMITS[name]!.leastMs)
  if (short.length === 0) {
    const names = rows.map(({ name, ms }) => `${name} ${duration(ms)}`)
    return [
      ok(
        code,
        `time limits of the role bound loaders' queries only (${names.length > 0 ? names.join(', ') : 'it has none'})`,
      ),
    ]
  }
  return short.map((row) => {
    const { cost, instead } = LIMITS[row.name]!
    const title = `${row.name} is ${duration(row.ms)}${whose(row)}`
    if (row.source === 'client') return warning(code, title, cost, 'Take it out of the address.', false)
    const { role, database, name } = row
    return warning(code, title, cost, `alter role ${role} in database ${database} set ${name} = '${instead}';`)
  })
}

/** Who set it, after the server's words for the source of a setting. */
function whose({ source, role, database }: LimitRow): string {
  switch (source) {
    case 'client':
      return ', by the address'
    case 'user':
      return ` for role ${role}`
    case 'database':
      return ` for database ${database}`
    case 'database user':
      return ` for role ${role} in database ${database}`
    default:
      return ' for the whole server'
  }
}

function duration(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${Math.round(ms / 100) / 10} s`
}
