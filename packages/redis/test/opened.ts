import { type RedisL2, type RedisL2Options, redisL2 } from '@tidemark/redis'
import type { L2Batch, L2Fill, L2Mark } from 'tidemark'
import { type RedisServer, until } from './redis-server.js'

/** An L2 that is connected, and patient: the machine may be busy. */
export async function openL2(server: RedisServer, options: Partial<RedisL2Options> = {}): Promise<RedisL2> {
  const where = options.client ? {} : { url: server.url }
  const l2 = redisL2({ deadline: '10s', batchDeadline: '10s', ...where, ...options })
  await until(() => l2.status().state === 'ready', 'connected')
  return l2
}

export const EPOCH = 'e'

export function fillOf(lsn: number, options: Partial<L2Fill> = {}): L2Fill {
  return {
    epoch: EPOCH,
    value: { lsn },
    lsn,
    dependencies: [{ kind: 'tag', tenant: 'default', tag: 'a' }],
    stamps: [{ shape: 'tag', name: 'a' }],
    ageMs: 0,
    remainingMs: Number.POSITIVE_INFINITY,
    ...options,
  }
}

/** Tells L2 what happened, as a process that knows its shapes or asks for them. */
export async function tell(l2: RedisL2, prev: number, end: number, marks: readonly L2Mark[] = [], mayReset = false) {
  const batch: L2Batch = { epoch: EPOCH, prev, end, shapes: undefined, marks, mayReset }
  const answer = await l2.invalidate(batch)
  return answer.state === 'shapes' ? l2.invalidate({ ...batch, shapes: answer.shapesId }) : answer
}

export async function lsnOf(l2: RedisL2, key: string): Promise<number | undefined> {
  return (await l2.read(key)).entry?.lsn
}
