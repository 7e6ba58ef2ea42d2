import { AsyncResource } from 'node:async_hooks'
import type { Pool, PoolClient } from 'pg'
import type { Reader } from './backend.js'
import { wrappingOf } from './wrapped-client.js'

/** A pool that is wrapped again (hot reload) stays as it is. */
const wrappedPools = new WeakSet<Pool>()

/**
 * Makes a pool of `pg` tell the fill that runs what is read through it. Queries outside of fills run as they are, and are only
 * looked at for what they may have changed on their connection.
 *
 * The pool is changed and returned. Wrap it before it is first used: what was set on a connection before is taken for its set-up.
 */
export function wrapPool<P extends Pool>(pool: P, reader: Reader): P {
  if (wrappedPools.has(pool)) return pool
  wrappedPools.add(pool)
  const connect = pool.connect.bind(pool) as unknown as (
    callback: (error: unknown, client?: PoolClient, done?: unknown) => void,
  ) => void
  const lend = (): Promise<PoolClient> =>
    new Promise((resolve, reject) => {
      connect((error, client) => {
        if (error || !client) return reject(error)
        // Until it is handed over nobody else hears that it ended, and an event that nobody hears ends the process. At once, as the
        // server's last words may stand in the same packet as the answer that made it ready.
        client.on('error', ignore)
        resolve(client)
      })
    })
  const prepare = async (client: PoolClient): Promise<PoolClient> => {
    await wrappingOf(client, reader).introduce()
    return client
  }
  const lendPrepared = async (): Promise<PoolClient> => {
    const client = await lend()
    try {
      const prepared = await prepare(client)
      client.removeListener('error', ignore)
      return prepared
    } catch (error) {
      client.release(true)
      throw error
    }
  }
  const override = (callback?: (error: unknown, client?: PoolClient, done?: unknown) => void): unknown => {
    const lent = lendPrepared()
    if (!callback) return lent
    // The pool calls back in the context of whoever gave the connection back: that is another's fill.
    const bound = AsyncResource.bind(callback)
    lent.then(
      (client) => bound(undefined, client, client.release),
      (error) => bound(error, undefined, () => {}),
    )
    return undefined
  }
  return Object.assign(pool, { connect: override })
}

function ignore(): void {}
