import { type Client, escapeLiteral } from 'pg'
import type { SqlConnection } from './connection.js'

/** Of those that wait so many are sent at once, and so many characters, so that a batch ends well within the connection's bound. */
const MESSAGES_MAX = 500
const CHARACTERS_MAX = 500_000

interface Waiting {
  readonly prefix: string
  readonly content: string
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Writes messages, each in a transaction of its own, in the order in which they come. Those that wait while others are written go together:
 * in one round trip, and flushed once, by the last of them. That is before anybody is told, and before the log delivers any.
 */
export class MessageBatch {
  readonly #sql: Pick<SqlConnection, 'use'>
  #waiting: Waiting[] = []

  constructor(sql: Pick<SqlConnection, 'use'>) {
    this.#sql = sql
  }

  /** Resolves when it is committed and flushed. */
  write(prefix: string, content: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ prefix, content, resolve, reject })
      if (this.#waiting.length === 1) this.#send()
    })
  }

  /** When the connection comes to it. */
  #send(): void {
    let batch: readonly Waiting[] = []
    const sent = this.#sql.use((client) => {
      batch = this.#take()
      if (this.#waiting.length > 0) this.#send()
      return write(client, batch)
    })
    sent.then(
      () => {
        for (const { resolve } of batch) resolve()
      },
      (error: unknown) => {
        // Without a connection none was taken.
        if (batch.length === 0) batch = this.#waiting.splice(0)
        for (const { reject } of batch) reject(error)
      },
    )
  }

  #take(): readonly Waiting[] {
    let [count, characters] = [0, 0]
    for (const { content } of this.#waiting) {
      characters += content.length
      if (count > 0 && (count === MESSAGES_MAX || characters > CHARACTERS_MAX)) break
      count++
    }
    return this.#waiting.splice(0, count)
  }
}

async function write(client: Client, batch: readonly Waiting[]): Promise<void> {
  const [only, ...others] = batch
  if (only && others.length === 0) {
    await client.query('select pg_logical_emit_message(true, $1, $2)', [only.prefix, only.content])
    return
  }
  try {
    await client.query(batch.map((each, i) => transactionOf(each, i === batch.length - 1)).join(';'))
  } catch (error) {
    // Some may be in the log; none is said to be. What failed must not stay open.
    await client.query('rollback').catch(() => {})
    throw error
  }
}

/** Text of one transaction. All but the last leave it to the last to flush them: the log is flushed in its order. */
function transactionOf({ prefix, content }: Waiting, isLast: boolean): string {
  const unflushed = isLast ? '' : "set_config('synchronous_commit', 'off', true), "
  const message = `pg_logical_emit_message(true, ${escapeLiteral(prefix)}, ${escapeLiteral(content)})`
  return `begin;select ${unflushed}${message};commit`
}
