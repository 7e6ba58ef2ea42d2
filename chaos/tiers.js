import { redisL2, redisRelay } from '@tidemark/redis'
import { badBus } from './bus.js'
import { planted } from './plants.js'

/**
 * What processes share in Redis.
 *
 * @param reached  told of each moment in which a process may be killed: before L2 is told of changes, and after
 * @param isBusBad  whether the relay's records are lost, repeated and reordered now
 */
export function tiersOf({ url, l2: options, hasRelay }, seed, reached, isBusBad) {
  const plant = planted()
  const l2 = options && plant.tier(redisL2({ url, deadline: '1s', ...options }))
  if (l2) {
    const { invalidate } = l2
    l2.invalidate = async (batch) => {
      if (batch.marks.length > 0) reached('before-l2')
      const answer = await invalidate.call(l2, batch)
      if (batch.marks.length > 0) reached('after-l2')
      return answer
    }
  }
  const relay =
    hasRelay && plant.relay(redisRelay({ client: badBus(url, seed, isBusBad), secret: 'ours', commandTimeoutMs: 500 }))
  return { l2, relay }
}
