import type { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { numbers, World } from './judge.js'
import { openL2 } from './opened.js'
import { RedisServer } from './redis-server.js'

// Redis loses any key, all of them, its scripts, or goes back to what it was, at any moment between batches, fills and reads that
// are late, repeated and handed over. An L2 that believed any of it would return what the source no longer says.

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 60)
const SEED = Number(process.env['PROPERTY_SEED'] ?? 1)
const STEPS = 60

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.drop())

for (const buckets of [1, 4]) {
  test(`whatever Redis loses or brings back, nothing stale is believed (buckets: ${buckets})`, async () => {
    const seen = { believed: 0, disbelieved: 0, stored: 0, failed: 0 }
    for (let seed = SEED; seed < SEED + RUNS; seed++) {
      await server.admin.flushall()
      // Few stamps, so that the limit drops them all the time.
      const l2 = await openL2(server, { buckets, stampsMax: seed % 2 === 0 ? 3 * buckets : 1_000 })
      const world = new World(l2, seed, { wholeOneIn: seed % 3 === 0 ? 1_000 : 10 })
      const trouble = new Trouble(server.admin, seed)
      for (let i = 0; i < STEPS; i++) {
        await world.step()
        await trouble.maybe()
      }
      await world.settle()
      await world.readAll()
      expect(world.stale, `PROPERTY_SEED=${seed} PROPERTY_RUNS=1`).toEqual([])
      for (const name of Object.keys(seen) as (keyof typeof seen)[]) seen[name] += world.seen[name]
      await l2.close()
    }
    expect(seen.failed).toBe(0)
    expect(seen.believed).toBeGreaterThan(RUNS)
    expect(seen.disbelieved).toBeGreaterThan(0)
  })
}

class Trouble {
  readonly #admin: Redis
  readonly #number: (below: number) => number
  #saved: readonly (readonly [string, Buffer, number])[] = []

  constructor(admin: Redis, seed: number) {
    this.#admin = admin
    this.#number = numbers(seed + 1_000_000)
  }

  async maybe(): Promise<void> {
    const admin = this.#admin
    switch (this.#number(16)) {
      case 0:
        this.#saved = await this.#backup()
        return
      case 1:
        await this.#restore()
        return
      case 2:
        if (this.#number(4) === 0) await admin.flushall()
        return
      case 3:
        await admin.script('FLUSH')
        return
      case 4:
      case 5: {
        const key = await admin.randomkey()
        if (key !== null) await admin.del(key)
        return
      }
      case 6: {
        const key = await admin.randomkey()
        // Somebody else's.
        if (key !== null && this.#number(4) === 0) await admin.set(key, 'garbage')
        return
      }
      default:
    }
  }

  async #backup(): Promise<[string, Buffer, number][]> {
    const keys = await this.#admin.keys('*')
    const each = keys.map(async (key): Promise<[string, Buffer | null, number]> => {
      const [bytes, ttl] = await Promise.all([this.#admin.dumpBuffer(key), this.#admin.pttl(key)])
      return [key, bytes, Math.max(0, ttl)]
    })
    return (await Promise.all(each)).filter((saved): saved is [string, Buffer, number] => saved[1] !== null)
  }

  async #restore(): Promise<void> {
    const back = this.#admin.multi().flushall()
    for (const [key, bytes, ttl] of this.#saved) back.restore(key, ttl, bytes)
    await back.exec()
  }
}
