import { type L2Limits, l2Contract } from 'tidemark/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { lacks } from '../../../test/machine.js'
import { openL2 } from './opened.js'
import { RedisServer } from './redis-server.js'

describe('the L2 in Redis keeps the contract', () => keepsTheContract())

describe.skipIf(lacks('valkey-server'))('the L2 in Valkey keeps the contract (needs valkey-server)', () =>
  keepsTheContract('valkey-server'),
)

function keepsTheContract(program?: string): void {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start([], program)
  })
  afterAll(() => server?.drop())

  // With several buckets shapes are registered in each on its own, and batches applied: cases about one key's effect on another.
  const inOneBucket = [
    'a fill is refused after a change that it did not see, of another epoch, and where a later one is',
    'marks for other shapes than it has do nothing, and the answer has the shapes',
    'beyond as many shapes as there may be, wide stamps are used, and changes that name those void the entry',
  ]
  for (const buckets of [1, 16]) {
    const open = async (limits: L2Limits) => {
      await server.admin.flushall()
      const l2 = await openL2(server, { buckets, ...limits })
      return { l2, close: () => l2.close() }
    }
    for (const { name, run } of l2Contract(open))
      if (buckets === 1 || !inOneBucket.includes(name)) test(`${name} (buckets: ${buckets})`, run)
  }
}
