import pg from 'pg'
import { SourceDownError } from 'tidemark'

/** Opens a connection. @throws SourceDownError (`TIDEMARK_SOURCE_DOWN`) */
export async function connect(url: string, applicationName: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    application_name: applicationName,
  })
  // A connection that breaks fails the query too; without a listener it would also end the process.
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (cause) {
    throw new SourceDownError(
      `The database does not let us in: ${reasonOf(cause)}. Is it running, and is the address right?`,
      { cause },
    )
  }
  return client
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Node hides what happened at each address of a name in an AggregateError without a message.
  return error.message || (error as NodeJS.ErrnoException).code || error.name
}
