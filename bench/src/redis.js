import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../test/free-port.js'

/** The client that @tidemark/redis uses. */
export const { Redis } = createRequire(new URL('../../packages/redis/package.json', import.meta.url))('ioredis')

/** Runs `use` with a client of a Redis that is started for it, in memory only, and its port. */
export async function withRedis(use) {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-bench-'))
  const settings = ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no']
  const server = spawn('redis-server', settings, { stdio: 'ignore' })
  const redis = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: null })
  // It is tried until the server answers.
  redis.on('error', () => {})
  try {
    await redis.ping()
    return await use(redis, port)
  } finally {
    redis.disconnect()
    server.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}
