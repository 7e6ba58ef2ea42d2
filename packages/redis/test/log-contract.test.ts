import { logContract } from 'tidemark/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { redisLog } from '../src/index.js'
import { RedisServer } from './redis-server.js'

let server: RedisServer
let streams = 0

beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server?.drop())

describe.each([
  { how: 'without a secret', secret: {} },
  { how: 'with a secret', secret: { secret: 'of all processes' } },
])('a Redis stream, $how', ({ secret }) => {
  const open = async () => ({
    log: redisLog({ url: server.url, stream: `contract ${++streams}`, ...secret }),
    // All but the one that says so: what reads the stream, and what asks and appends.
    cut: async () => void (await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')),
    close: async () => {},
  })
  for (const { name, run } of logContract(open)) test(name, run)
})
