// What is measured of several processes on one Redis.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { tiers } from './l2-contenders.js'
import { alternate, median, runAlone } from './measure.js'
import { withRedis } from './redis.js'

const PROCESSES = 4

/** 1,000 reads of a missing key at once, from four processes. Returns the runs of the loader, one figure for each round. */
export function missesAcross(rounds) {
  return withRedis(async (_, port) => {
    const file = fileURLToPath(new URL('misses.js', import.meta.url))
    const children = Array.from({ length: PROCESSES }, () => fork(file, [String(port)]))
    try {
      await Promise.all(children.map((child) => once(child, 'message')))
      const loads = []
      for (let round = 0; round < rounds; round++) {
        const answers = children.map((child) => once(child, 'message'))
        for (const child of children) child.send({ key: `k${round}`, reads: 1_000 / PROCESSES })
        loads.push((await Promise.all(answers)).reduce((sum, [each]) => sum + each.loads, 0))
      }
      return loads
    } finally {
      for (const child of children) child.disconnect()
    }
  })
}

/** Each tier in Redis: `write` and `read`, by contender the medians of operations a second, µs of processor time, and µs alone. */
export function tiersAcross(rounds, entries) {
  return withRedis(async (redis, port) => {
    const seen = { write: new Map(), read: new Map() }
    await alternate(
      Object.keys(tiers),
      rounds,
      async (name) => {
        await redis.flushall()
        for (const what of ['write', 'read']) {
          const figures = await runAlone('l2.js', [name, port, what, entries])
          seen[what].set(name, [...(seen[what].get(name) ?? []), figures])
        }
      },
      () => 0,
    )
    return Object.fromEntries(Object.entries(seen).map(([what, of]) => [what, new Map([...of].map(mediansOf))]))
  })
}

function mediansOf([name, rounds]) {
  return [
    name,
    Object.fromEntries(Object.keys(rounds[0]).map((figure) => [figure, median(rounds.map((each) => each[figure]))])),
  ]
}
