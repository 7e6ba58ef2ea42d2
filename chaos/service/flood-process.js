// Who floods, in a process of its own, so that what its requests take to make is no part of what others wait: `{ address, headers }`.
import { setTimeout as sleep } from 'node:timers/promises'
import { answerWith } from './acts.js'
import { Client } from './client.js'

const CONNECTIONS = 16
const NAMES = 1_000
const { address, headers } = JSON.parse(process.argv[2])
const client = new Client(address, headers, CONNECTIONS)

const acts = {
  /** What may be asked for at once after a rest is used up. */
  async exhaust() {
    for (let n = 0; (await once('first', 3 * n)).status !== 429; n++);
    return {}
  },
  /** So many requests a second, for `seconds`. Returns how many were answered with which status, and how many keys were named a second. */
  async flood({ seconds, rate }) {
    const answers = {}
    let [withoutWait, names] = [0, 0]
    const gapMs = (1_000 * CONNECTIONS) / rate
    const began = performance.now()
    const until = began + seconds * 1_000
    const worker = async (_, worker) => {
      let next = began + (worker * gapMs) / CONNECTIONS
      for (let n = worker; next < until; n++) {
        await sleep(Math.max(0, next - performance.now()))
        next = Math.max(next + gapMs, performance.now())
        const { status, headers } = await once(worker, n)
        answers[status] = (answers[status] ?? 0) + 1
        if (n % 3 === 0) names += NAMES
        if (status === 429 && headers['retry-after'] === undefined) withoutWait++
      }
    }
    await Promise.all(Array.from({ length: CONNECTIONS }, worker))
    return { answers, withoutWait, namesPerSecond: (names / (performance.now() - began)) * 1_000 }
  },
  stop: () => {
    client.close()
    return {}
  },
}

/** What it asks for: keys by the thousand, tags by the thousand, and regexes. */
function once(worker, n) {
  const names = (kind) => Array.from({ length: NAMES }, (_, i) => `${kind}:${worker}:${n}:${i}`)
  switch (n % 3) {
    case 0:
      return client.ask('POST', '/api/invalidate', { keys: names('key') })
    case 1:
      return client.ask('PUT', `/api/cache/flood:${worker}:${n}`, { value: n, tags: names('tag') })
    default:
      return client.ask('POST', '/api/invalidate/pattern', { pattern: `(a|b|${n})+x$`, syntax: 'regex' })
  }
}

process.on('disconnect', () => process.exit())
answerWith(acts)
