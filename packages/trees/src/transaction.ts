import { connectionError } from '@tidemark/postgres'
import { escapeLiteral, type Pool, type PoolClient } from 'pg'
import { SourceDownError, TidemarkError } from 'tidemark'
import { TENANT_SETTING } from './schema.js'
import { Shares } from './shares.js'

/** What a transaction came to, and whether it commits. */
interface Outcome<Result> {
  readonly result: Result
  readonly isKept: boolean
}

interface Committed<Result> {
  readonly result: Result
  /** Of the commit, if it was kept. */
  readonly position: string | undefined
}

/** Begins transactions in which row security shows one tenant only, and what is shared. */
export class Transactions {
  readonly #pool: Pool
  readonly #role: () => string | undefined
  readonly #maxMs: number
  /** Half of the connections: edits of one tenant that wait for each other, or take long, leave the rest to the others. */
  readonly #shares: Shares

  /**
   * @param role   to take on in each; asked for when one begins
   * @param maxMs  how long each may take, how long it may wait for a connection, and before that for others of its tenant
   */
  constructor(pool: Pool, role: () => string | undefined, maxMs: number) {
    this.#pool = pool
    this.#role = role
    this.#maxMs = maxMs
    this.#shares = new Shares(Math.max(1, Math.floor(pool.options.max / 2)))
  }

  /**
   * Runs it in a transaction, which is taken back if it rejects.
   *
   * @returns what it returned, and the position of the commit
   * @throws SourceDownError (`TIDEMARK_SOURCE_DOWN`) where the database cannot be reached, or does not answer in time; what `work` rejects with
   */
  async run<Result>(
    tenant: string,
    work: (client: PoolClient) => Promise<Outcome<Result>>,
  ): Promise<Committed<Result>> {
    const leave = await this.#shares.take(
      tenant,
      this.#maxMs,
      () =>
        new SourceDownError(
          `What this tenant asked of its config trees before has not ended within ${this.#maxMs} ms (transactionMaxMs). Ask again later, for less at once.`,
        ),
    )
    try {
      const client = await connect(this.#pool, this.#maxMs)
      let isLent = true
      const giveBack = (broken?: Error): void => {
        if (isLent) client.release(broken)
        isLent = false
      }
      // Whoever is too late loses the connection, and with it the transaction.
      return await within(this.#maxMs, this.#transact(client, tenant, work, giveBack), giveBack)
    } finally {
      leave()
    }
  }

  async #transact<Result>(
    client: PoolClient,
    tenant: string,
    work: (client: PoolClient) => Promise<Outcome<Result>>,
    giveBack: (broken?: Error) => void,
  ): Promise<Committed<Result>> {
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
      giveBack(broken)
    }
  }

  /** What is read, all of it from one transaction. */
  async read<Result>(tenant: string, read: (client: PoolClient) => Promise<Result>): Promise<Result> {
    const { result } = await this.run(tenant, async (client) => ({ result: await read(client), isKept: false }))
    return result
  }
}

/** @throws SourceDownError */
export function connect(pool: Pool, maxMs: number): Promise<PoolClient> {
  const connecting = pool.connect()
  const giveUp = (): void => {
    // Somebody else may have the connection that nobody waits for any more.
    connecting.then(
      (client) => client.release(),
      () => {},
    )
  }
  return within(maxMs, connecting, giveUp).catch((error: unknown) => {
    throw connectionError(error)
  })
}

/**
 * A database that is frozen, or behind a line that has gone, ends no connection: what waits for it would wait for ever.
 *
 * @param giveUp  called when it is too late, before the promise rejects
 * @throws SourceDownError if it takes longer; what `asked` rejects with
 */
async function within<Result>(maxMs: number, asked: Promise<Result>, giveUp: (late: Error) => void): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const late = new SourceDownError(
        `PostgreSQL has not answered within ${maxMs} ms (transactionMaxMs). Check that it runs, and who holds locks on the tables of the schema tidemark_trees.`,
      )
      giveUp(late)
      reject(late)
    }, maxMs)
  })
  try {
    return await Promise.race([asked, tooLate])
  } finally {
    clearTimeout(timer)
  }
}
