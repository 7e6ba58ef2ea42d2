import { connectionError } from '@tidemark/postgres'
import { escapeLiteral, type Pool, type PoolClient } from 'pg'
import { TidemarkError } from 'tidemark'
import { TENANT_SETTING } from './schema.js'

/** Begins transactions in which row security shows one tenant only, and what is shared. */
export class Transactions {
  readonly #pool: Pool
  readonly #role: () => string | undefined

  /** @param role  to take on in each; asked for when one begins */
  constructor(pool: Pool, role: () => string | undefined) {
    this.#pool = pool
    this.#role = role
  }

  /**
   * Runs it in a transaction, which is taken back if it rejects.
   *
   * @returns what it returned, and the position of the commit
   * @throws SourceDownError (`TIDEMARK_SOURCE_DOWN`) where the database cannot be reached; what `work` rejects with
   */
  async run<Result>(
    tenant: string,
    work: (client: PoolClient) => Promise<{ readonly result: Result; readonly isKept: boolean }>,
  ): Promise<{ readonly result: Result; readonly position: string | undefined }> {
    const client = await connect(this.#pool)
    let broken: Error | undefined
    try {
      const own = this.#role()
      const role = own === undefined ? '' : `set local role ${own};`
      // Each text is one round trip.
      await client.query(`begin; ${role} select set_config('${TENANT_SETTING}', ${escapeLiteral(tenant)}, true)`)
      const { result, isKept } = await work(client)
      if (!isKept) {
        await client.query('rollback')
        return { result, position: undefined }
      }
      // Of two statements the driver answers with two results.
      const [, { rows }] = (await client.query(
        'commit; select pg_current_wal_insert_lsn()::text as position',
      )) as unknown as [unknown, { rows: { position: string }[] }]
      return { result, position: rows[0]!.position }
    } catch (error) {
      await client.query('rollback').catch((reason: Error) => {
        broken = reason
      })
      throw broken === undefined || error instanceof TidemarkError ? error : connectionError(error)
    } finally {
      client.release(broken)
    }
  }

  /** What is read, all of it from one transaction. */
  async read<Result>(tenant: string, read: (client: PoolClient) => Promise<Result>): Promise<Result> {
    const { result } = await this.run(tenant, async (client) => ({ result: await read(client), isKept: false }))
    return result
  }
}

/** @throws SourceDownError */
export function connect(pool: Pool): Promise<PoolClient> {
  return pool.connect().catch((error: unknown) => {
    throw connectionError(error)
  })
}
