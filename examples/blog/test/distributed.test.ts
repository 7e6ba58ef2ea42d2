import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lacks } from '../../../test/machine.js'
import { until } from './blog-process.js'

const START_MAX_MS = 120_000
/** So long after its commit a change may be missing from an answer: maxSilence, as a process that was killed cannot know. */
const STALE_MAX_MS = 5_000

describe.skipIf(lacks('haproxy'))('the blog in four processes (needs haproxy)', () => {
  describe.skipIf(lacks('redis-server'))('with Redis (needs redis-server)', () => {
    let demo: ChildProcess
    let client: pg.Client
    let url: string
    let printed = ''

    beforeAll(async () => {
      const start = fileURLToPath(new URL('../distributed/start.js', import.meta.url))
      demo = spawn(process.execPath, [start], { stdio: ['ignore', 'pipe', 'pipe'] })
      const note = (text: Buffer): void => {
        printed += text
      }
      demo.stdout!.on('data', note)
      demo.stderr!.on('data', note)
      await until(
        'four processes have a role',
        () => pids('leader').length === 1 && pids('follower').length === 3,
        START_MAX_MS,
      )
      url = /^Tidemark is ready: (\S+)$/m.exec(printed)![1]!
      client = new pg.Client({ connectionString: /^psql '([^']+)'/m.exec(printed)![1]! })
      client.on('error', () => {})
      await client.connect()
    }, START_MAX_MS + 10_000)

    afterAll(async () => {
      await client?.end()
      if (demo?.exitCode === null) {
        const ended = new Promise((resolve) => demo.once('exit', resolve))
        demo.kill('SIGTERM')
        await ended
      }
    }, 60_000)

    function pids(role: string): number[] {
      return [...printed.matchAll(new RegExp(`^${role} pid (\\d+)`, 'gm'))].map(([, pid]) => Number(pid))
    }

    function urls(): string[] {
      return [...new Set([...printed.matchAll(/^(?:leader|follower) pid \d+ (\S+)$/gm)].map(([, each]) => each!))]
    }

    async function counted(counter: string): Promise<number> {
      let sum = 0
      for (const each of urls()) {
        const text = await (await fetch(`${each}/metrics`)).text()
        sum += Number(new RegExp(`^tidemark_${counter}_total (\\d+)$`, 'm').exec(text)![1])
      }
      return sum
    }

    /** Changes a title again and again, and reads it through HAProxy, while something happens. */
    async function survives(what: () => Promise<void>): Promise<void> {
      let version = 0
      let isOver = false
      const committed: number[] = [performance.now()]
      const seen = { answers: 0, stale: 0, failed: [] as string[] }
      await client.query(`update posts set title = 'version 0' where id = 1`)
      const write = async (): Promise<void> => {
        while (!isOver) {
          await client.query(`update posts set title = 'version ${++version}' where id = 1`)
          committed[version] = performance.now()
          await new Promise((resolve) => setTimeout(resolve, 100))
        }
      }
      const read = async (): Promise<void> => {
        while (!isOver) {
          const asked = performance.now()
          // The newest version that this answer has to show.
          const least = committed.findLastIndex((at) => at < asked - STALE_MAX_MS)
          const response = await fetch(`${url}/api/resources/post?id=1`).catch((error: unknown) => String(error))
          seen.answers++
          if (typeof response === 'string' || !response.ok) {
            seen.failed.push(typeof response === 'string' ? response : `${response.status} ${await response.text()}`)
            continue
          }
          const [post] = (await response.json()) as { title: string }[]
          if (Number(post!.title.replace('version ', '')) < least) seen.stale++
        }
      }
      const running = Promise.all([write(), read(), read()])
      try {
        await what()
      } finally {
        isOver = true
        await running
      }
      expect(seen).toEqual({ answers: expect.any(Number), stale: 0, failed: [] })
      expect(seen.answers).toBeGreaterThan(50)
      await until('all processes show the last version', async () => {
        for (const each of urls()) {
          const [post] = (await (await fetch(`${each}/api/resources/post?id=1`)).json()) as { title: string }[]
          if (post!.title !== `version ${version}`) return false
        }
        return true
      })
    }

    test('what one has loaded the others take from the tier that they share', async () => {
      const [loads, hits] = [await counted('loads'), await counted('l2_hits')]
      for (const each of urls()) {
        const response = await fetch(`${each}/api/resources/feed?author=3`)
        expect(response.status).toBe(200)
        // Its answer is on its way there for a moment.
        await until('it is stored', async () => (await counted('l2_stored')) > 0)
      }
      expect([await counted('loads'), await counted('l2_hits')]).toEqual([loads + 1, hits + 3])
    })

    test('a position of one is good in every other', async () => {
      await client.query(`update posts set title = 'read by position' where id = 2`)
      const position = (await client.query<{ at: string }>('select pg_current_wal_insert_lsn()::text as at')).rows[0]!
        .at
      for (const each of [url, ...urls()]) {
        const response = await fetch(`${each}/api/resources/post?id=2`, { headers: { 'tidemark-position': position } })
        expect(await response.json()).toMatchObject([{ title: 'read by position' }])
      }
    })

    test('the leader is killed, a follower is, and Redis: no read fails, none is stale, and another leads', async () => {
      await survives(async () => {
        const leader = pids('leader').at(-1)!
        process.kill(leader, 'SIGKILL')
        await until('another leads', () => pids('leader').at(-1) !== leader)
        await until('the killed one follows again', () => pids('follower').length >= 4, 60_000)
      })
      await survives(async () => {
        const follower = pids('follower').at(-1)!
        process.kill(follower, 'SIGKILL')
        await until('it is back', () => pids('follower').at(-1) !== follower, 60_000)
      })
      await survives(async () => {
        process.kill(pids('redis').at(-1)!, 'SIGKILL')
        await until('Redis is back', () => pids('redis').length === 2)
        const hits = await counted('l2_hits')
        await until('the tier is of use again', async () => {
          for (const each of urls()) await fetch(`${each}/api/resources/author?id=${1 + Math.floor(Math.random() * 5)}`)
          return (await counted('l2_hits')) > hits
        })
      })
    }, 300_000)

    test('it stops all that it started', async () => {
      const all = [...pids('leader'), ...pids('follower'), ...pids('redis')]
      const ended = new Promise((resolve) => demo.once('exit', resolve))
      demo.kill('SIGINT')
      await new Promise((resolve) => setTimeout(resolve, 50))
      demo.kill('SIGTERM')
      await ended
      for (const pid of all) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    }, 60_000)
  })
})
