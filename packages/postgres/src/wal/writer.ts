import type { SqlConnection } from './connection.js'
import { MessageBatch } from './message-batch.js'
import { needsMessageTable, writeToTable } from './message-table.js'
import { HEARTBEAT_PREFIX } from './messages.js'
import { ownTransaction } from './slot.js'
import type { TransactionWriter } from './visibility.js'

/** Writes transactions of our own; all commit locally, as its connection says, so that a missing standby can't hold them up. */
export class Writer implements TransactionWriter {
  readonly #sql: SqlConnection
  readonly #batch: MessageBatch
  #version: number | undefined
  #queued: Promise<number> | undefined

  constructor(sql: SqlConnection) {
    this.#sql = sql
    this.#batch = new MessageBatch(sql)
  }

  /** Another server, or run of it, is followed from now on. */
  follow(version: number): void {
    this.#version = version
  }

  /** Those who ask before it is sent share one. */
  ownTransaction(): Promise<number> {
    if (this.#queued) return this.#queued
    const sent = (): void => {
      if (this.#queued === own) this.#queued = undefined
    }
    const own = this.#sql.use((client) => {
      sent()
      return ownTransaction(client)
    })
    this.#queued = own
    own.catch(sent)
    return own
  }

  beat(): Promise<void> {
    return this.message(HEARTBEAT_PREFIX, '')
  }

  /** Writes a transactional message; resolves when it is committed and flushed. */
  async message(prefix: string, content: string): Promise<void> {
    if (needsMessageTable(await this.#serverVersion())) return writeToTable(this.#sql, prefix, content)
    await this.#batch.write(prefix, content)
  }

  /** Before the log was taken up for the first time nobody has said which server it is. */
  async #serverVersion(): Promise<number> {
    if (this.#version !== undefined) return this.#version
    const [row] = await this.#sql.rows<{ version: number }>(
      "select current_setting('server_version_num')::int as version",
    )
    return this.#version ?? row!.version
  }
}
