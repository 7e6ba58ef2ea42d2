import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from './quantile.js'

export const everything = {
  title: 'F32: patterns that match all of a million keys, and a whole tenant, under load',
  limits: () => ({ requests: 1_000_000 }),
  async run({ server, scale, open }, lines) {
    const count = scale.isSmoke ? 40_000 : 1_000_000
    const reader = open('ann', 'calm', 4)
    const operator = open('bob', 'large', 1)
    await reader.ask('PUT', '/api/cache/read', { value: { id: 7 } })
    await operator.ask('POST', '/api/invalidate/pattern', { pattern: 'none:*' })
    await server.ask({ do: 'fill', tenant: 'large', count, prefix: 'user' })
    // Puts the keys in order, so that what is measured is the pattern.
    await operator.ask('POST', '/api/invalidate/pattern', { pattern: 'user:0*' })
    const seconds = scale.isSmoke ? 1 : 5
    const load = async (during) => {
      const stop = new AbortController()
      const readings = Array.from({ length: 4 }, () =>
        reader.read(() => '/api/cache/read', { until: stop.signal, gapMs: 1 }),
      )
      const result = await during()
      stop.abort()
      const all = await Promise.all(readings)
      return { result, times: all.flatMap(({ times }) => times), failed: all.flatMap(({ failed }) => failed) }
    }
    // Not timed: a process compiles in its first seconds, and its reads take longer than they do later.
    await load(() => sleep(seconds * 1_000))
    const during = async (body) => {
      const answer = await operator.ask('POST', '/api/invalidate/pattern', body)
      await server.ask({ do: 'swept' })
      return answer
    }
    const asked = [
      [{ pattern: 'user:*' }, 'the pattern user:*'],
      [{ pattern: '[u]s*r:*' }, 'a glob without a beginning'],
      [{ pattern: '^u.*:[0-9]+$', syntax: 'regex' }, 'a regular expression'],
      [{ pattern: '*' }, 'the whole tenant'],
    ]
    for (const [body, name] of asked) {
      await server.ask({ do: 'fill', tenant: 'large', count, prefix: 'user' })
      // Each time anew: what else the machine does meanwhile must not flatter the others.
      const before = await load(() => sleep(seconds * 1_000))
      await server.ask({ do: 'watchLoop' })
      const { result, times, failed } = await load(() => during(body))
      const { stalledMs } = await server.ask({ do: 'loop' })
      lines.goal(`${name}: the longest that the event loop stood still, ms`, stalledMs, scale.isSmoke ? 5_000 : 100)
      if (result.status !== 200) lines.figure(`${name} was answered`, `${result.status} ${result.text}`)
      lines.figure(`${name}: entries that it counts`, JSON.parse(result.text).invalidated_count ?? 0)
      lines.goal(`${name}: ms to the answer`, result.ms, scale.isSmoke ? 5_000 : 50)
      lines.figure(`${name}: p99 of reads before, ms`, quantile(before.times, 0.99))
      lines.figure(`${name}: p99 of reads, ms`, quantile(times, 0.99))
      lines.goal(
        `${name}: p99 of reads, × before`,
        quantile(times, 0.99) / quantile(before.times, 0.99),
        scale.isSmoke ? 100 : 2,
      )
      lines.goal(`${name}: reads that failed`, failed.length, 0)
      const { stored } = await server.ask({ do: 'stored', tenant: 'large', count, prefix: 'user' })
      lines.goal(`${name}: entries that a read still finds`, stored, 0)
    }
  },
}
