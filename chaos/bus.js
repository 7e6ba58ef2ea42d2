import { generator } from './random.js'
import { Redis } from './redis-server.js'

const ONE_IN = 10

/**
 * A client of Redis that loses, repeats and reorders records of what it reads from a stream while `isBad()`: as a bus might that nobody
 * should trust. It is on the way of each record that a process gets.
 */
export function badBus(url, seed, isBad) {
  const random = generator(seed)
  const client = new Redis(url, { lazyConnect: true })
  client.on('error', () => {})
  const duplicate = client.duplicate.bind(client)
  client.duplicate = (...overrides) => {
    const own = duplicate(...overrides)
    const xread = own.xread.bind(own)
    own.xread = async (...args) => {
      const reply = await xread(...args)
      if (!reply || !isBad()) return reply
      if (Array.isArray(reply)) return reply.map(([stream, entries]) => [stream, spoilt(entries, random)])
      return Object.fromEntries(Object.entries(reply).map(([stream, entries]) => [stream, spoilt(entries, random)]))
    }
    return own
  }
  return client
}

function spoilt(entries, random) {
  const out = []
  for (const entry of entries) {
    // Lost, twice, or too late.
    if (random(ONE_IN) === 0) continue
    out.push(entry)
    if (random(ONE_IN) === 0) out.push(entry)
    if (random(ONE_IN) === 0) out.splice(random(out.length), 0, out.pop())
  }
  return out
}
