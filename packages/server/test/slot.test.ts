import { testDatabase } from '@tidemark/embedded/testing'
import { postgres } from '@tidemark/postgres'
import { createCache } from 'tidemark'
import { expect, it } from 'vitest'
import { buildApp } from '../src/app.js'
import { parseConfig } from '../src/config/load.js'
import { BOUND, CONFIG, SCHEMA, sql } from './serving.js'

it('tells of the shared slot in health and metrics: who holds it, and how much WAL is kept for it', async () => {
  const database = await testDatabase()
  await sql(database.url, SCHEMA)
  const source = postgres({ url: database.url, slot: 'served' })
  const cache = createCache({ source })
  const app = await buildApp({ config: parseConfig(CONFIG), cache, source, logLevel: 'silent' })
  try {
    const slot = async () => {
      const { parts } = (await app.inject({ url: '/health' })).json() as { parts: { name: string }[] }
      return parts.find(({ name }) => name === 'slot')
    }
    await expect.poll(slot, BOUND).toEqual({ name: 'slot', state: 'held', ready: true, reason: '' })
    const metrics = (await app.inject({ url: '/metrics' })).body
    expect(metrics).toMatch(/^tidemark_slot_held 1$/m)
    expect(metrics).toMatch(/^tidemark_slot_usable 1$/m)
    expect(metrics).toMatch(/^tidemark_slot_wal_bytes \d+$/m)

    await sql(database.url, 'select pg_terminate_backend(active_pid) from pg_replication_slots where active')
    const resumed = async () =>
      /^tidemark_log_resumes_total (\d+)$/m.exec((await app.inject({ url: '/metrics' })).body)?.[1]
    await expect.poll(resumed, BOUND).toBe('1')
    expect((await app.inject({ url: '/metrics' })).body).toMatch(/^tidemark_log_gaps_total 0$/m)
  } finally {
    await app.close()
    await cache.close()
    await database.drop()
  }
})
