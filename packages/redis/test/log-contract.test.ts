import { logContract } from 'tidemark/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { lacks } from '../../../test/machine.js'
import { redisLog } from '../src/index.js'
import { RedisServer } from './redis-server.js'

let streams = 0

describe('a Redis stream', () => keepsTheContract({}))
describe('a Redis stream, with a secret', () => keepsTheContract({ secret: 'of all processes' }))
describe.skipIf(lacks('valkey-server'))('a stream in Valkey (needs valkey-server)', () =>
  keepsTheContract({ secret: 'of all processes' }, 'valkey-server'),
)

function keepsTheContract(secret: { secret?: string }, program?: string): void {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start([], program)
  })
  afterAll(() => server?.drop())

  const open = async () => ({
    log: redisLog({ url: server.url, stream: `contract ${++streams}`, ...secret }),
    // All but the one that says so: what reads the stream, and what asks and appends.
    cut: async () => void (await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')),
    close: async () => {},
  })
  for (const { name, run } of logContract(open)) test(name, run)
}
