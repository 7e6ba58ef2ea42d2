import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from './quantile.js'

const CALM_KEYS = 1_000
/** Less than they may. */
const GAP_MS = 20
/** Requests a second. A third names 1,000 keys each, which is a hundred times as many as 6,000 requests a minute may. */
const FLOOD_RATE = 320
/** Of a tenant that floods, too. */
const NUMBERS = { keys: 5_000, bytes: 2_000_000, streams: 5, patterns: 2 }

export const flood = {
  title: 'F30: one tenant floods: a hundred times its rate, keys beyond all memory, tags, regexes',
  limits: ({ isSmoke }) => ({
    requests: isSmoke ? 2_000 : 6_000,
    window: '1m',
    keysPerUnit: 10,
    patterns: 20,
    tenants: { numbered: NUMBERS },
  }),
  async run({ server, scale, entries, open, flooding }, lines) {
    const seconds = scale.isSmoke ? 1.5 : 10
    const calm = open('ann', 'calm', 2)
    const path = (n) => `/api/cache/calm:${n % CALM_KEYS}`
    await server.ask({ do: 'fill', tenant: 'calm', count: CALM_KEYS, prefix: 'calm' })
    const read = async (during) => {
      const stop = new AbortController()
      const reading = calm.read(path, { until: stop.signal, gapMs: GAP_MS })
      await during()
      stop.abort()
      return reading
    }
    const before = await read(() => sleep(seconds * 1_000))
    // More keys than memory has room for: those of others stay.
    await server.ask({ do: 'fill', tenant: 'flood', count: entries + 1_000, prefix: 'flood' })
    const { stored } = await server.ask({ do: 'stored', tenant: 'calm', count: CALM_KEYS, prefix: 'calm' })
    lines.goal("of the others' entries, those that the flood pushed out", CALM_KEYS - stored, 0)

    await numbered({ server, open }, lines)

    const flooder = flooding('eve', 'flood')
    await flooder.ready
    // What follows is beyond what it may, from the first request on.
    await flooder.ask({ do: 'exhaust' })
    let flooded
    const during = await read(async () => {
      flooded = await flooder.ask({ do: 'flood', seconds, rate: FLOOD_RATE })
    })
    await flooder.end()
    const { answers, withoutWait, namesPerSecond } = flooded
    const { requests, keysPerUnit } = this.limits(scale)
    lines.goal(
      'keys that the flood named, × what it may',
      namesPerSecond / keysPerUnit / (requests / 60),
      scale.isSmoke ? 1 : 100,
      'least',
    )
    lines.figure('answers to the flood, by status', JSON.stringify(answers))
    lines.goal('requests of the flood that were refused with 429', answers[429] ?? 0, 1, 'least')
    lines.goal('of those, without Retry-After', withoutWait, 0)
    lines.goal(
      'answers to the flood of 500 and more',
      sum(answers, (status) => status >= 500),
      0,
    )
    lines.goal("others' reads that failed", during.failed.length, 0)
    lines.goal(
      "others' p99, × before the flood",
      quantile(during.times, 0.99) / quantile(before.times, 0.99),
      scale.isSmoke ? 100 : 1.5,
    )
  },
}

/** A tenant with numbers of its own: it never has more, and what it asks for beyond is refused with when to come. */
async function numbered({ server, open }, lines) {
  const tenant = 'numbered'
  await server.ask({ do: 'fill', tenant, count: 10 * NUMBERS.keys, prefix: 'n' })
  const { entries, bytes } = await server.ask({ do: 'uses', tenant })
  lines.goal('keys in memory of a tenant that may have 5,000', entries, NUMBERS.keys)
  lines.goal('bytes in memory of a tenant that may have 2,000,000', bytes, NUMBERS.bytes)
  const client = open('nat', tenant, 50)
  const patterns = await Promise.all(
    Array.from({ length: 30 }, () => client.ask('POST', '/api/invalidate/pattern', { pattern: 'none:*' })),
  )
  const streams = await client.streams('/api/trees/numbered/none/~live', 20)
  const refused = (answers) => answers.filter(({ status }) => status === 429)
  lines.goal('patterns beyond the number that were refused', refused(patterns).length, 1, 'least')
  lines.goal('streams beyond the number that were refused', refused(streams).length, 20 - NUMBERS.streams, 'least')
  const silent = [...refused(patterns), ...refused(streams)].filter(({ headers }) => !headers['retry-after'])
  lines.goal('of these, without Retry-After', silent.length, 0)
}

function sum(answers, isCounted) {
  return Object.entries(answers).reduce((total, [status, count]) => total + (isCounted(Number(status)) ? count : 0), 0)
}
