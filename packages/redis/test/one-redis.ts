import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { RedisServer } from './redis-server.js'

export interface OneRedis {
  readonly url: string
  readonly port: number
  readonly admin: Redis
  /** What a test opens: closed after it, the last first. */
  readonly closers: (() => Promise<unknown>)[]
}

/** One Redis for all tests of a file, empty before each of them. */
export function oneRedis(): OneRedis {
  let server: RedisServer
  const closers: (() => Promise<unknown>)[] = []
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server?.drop())
  beforeEach(() => server.admin.flushall())
  afterEach(async () => {
    while (closers.length > 0) await closers.pop()!()
  })
  return {
    closers,
    get url() {
      return server.url
    },
    get port() {
      return server.port
    },
    get admin() {
      return server.admin
    },
  }
}
