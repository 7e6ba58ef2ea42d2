import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from './quantile.js'

const CALM_KEYS = 1_000
/** Less than they may. */
const GAP_MS = 20

export const flood = {
  title: 'F30: one tenant floods: a hundred times its rate, keys beyond all memory, tags, regexes',
  limits: ({ isSmoke }) => ({ requests: isSmoke ? 2_000 : 6_000, window: '1m', keysPerUnit: 10, patterns: 20 }),
  async run({ server, scale, entries, open }, lines) {
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

    const flooder = open('eve', 'flood', 16)
    // What may be asked for at once after a rest is used up first: what follows is a hundred times what it may.
    for (let n = 0; (await floodOnce(flooder, 'first', 3 * n)).status !== 429; n++);
    const answers = {}
    let withoutWait = 0
    const until = performance.now() + seconds * 1_000
    const during = await read(() =>
      Promise.all(
        Array.from({ length: 16 }, async (_, worker) => {
          for (let n = 0; performance.now() < until; n++) {
            const { status, headers } = await floodOnce(flooder, worker, n)
            answers[status] = (answers[status] ?? 0) + 1
            if (status === 429 && headers['retry-after'] === undefined) withoutWait++
          }
        }),
      ),
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

/** What it asks for: keys by the thousand, tags by the thousand, and regexes. */
function floodOnce(client, worker, n) {
  const names = (kind) => Array.from({ length: 1_000 }, (_, i) => `${kind}:${worker}:${n}:${i}`)
  switch (n % 3) {
    case 0:
      return client.ask('POST', '/api/invalidate', { keys: names('key') })
    case 1:
      return client.ask('PUT', `/api/cache/flood:${worker}:${n}`, { value: n, tags: names('tag') })
    default:
      return client.ask('POST', '/api/invalidate/pattern', { pattern: `(a|b|${n})+x$`, syntax: 'regex' })
  }
}

function sum(answers, isCounted) {
  return Object.entries(answers).reduce((total, [status, count]) => total + (isCounted(Number(status)) ? count : 0), 0)
}
