const MB = 2 ** 20

/** Made once, as bytes: what a client takes to write 64 MB of text is no part of the answer's time. */
const bodies = () => {
  const json = (value) => Buffer.from(JSON.stringify(value))
  const value = (bytes) => json({ value: 'x'.repeat(bytes) })
  const tags = (count) => json({ value: 1, tags: Array.from({ length: count }, (_, n) => `t${n}`) })
  const deep = (depth) => Buffer.from(`{"value":${'['.repeat(depth)}${']'.repeat(depth)}}`)
  return [
    ['a value of 1 MB', 'PUT', '/api/cache/a', value(MB), [413]],
    ['a value of 16 MB', 'PUT', '/api/cache/a', value(16 * MB), [413]],
    ['a value of 64 MB', 'PUT', '/api/cache/a', value(64 * MB), [413]],
    ['100,000 tags', 'PUT', '/api/cache/a', tags(100_000), [400, 413, 422]],
    ['JSON 10,000 levels deep', 'PUT', '/api/cache/a', deep(10_000), [400]],
    ['JSON 500,000 levels deep', 'PUT', '/api/cache/a', deep(500_000), [400]],
    ['a value of 16 MB whose length is not told', 'PUT', '/api/cache/a', chunked(16 * MB), [413]],
    ['a tree of 64 MB', 'PUT', '/api/trees/huge/a', json('x'.repeat(64 * MB)), [404, 413]],
    ['a key of 1 MB in a body', 'POST', '/api/invalidate', json({ keys: ['k'.repeat(MB - 100)] }), [400]],
    ['a key of 1 MB in a path', 'GET', `/api/cache/${'k'.repeat(MB)}`, undefined, [400, 414, 431]],
  ]
}

/** A body that comes in parts. */
function chunked(bytes) {
  const part = 'x'.repeat(MB / 16)
  return Object.assign(['{"value":"', ...Array(Math.ceil(bytes / part.length)).fill(part), '"}'], { isChunked: true })
}

export const huge = {
  title: 'F24: values of 1 to 64 MB, 100,000 tags, JSON 10,000 levels deep, a key of 1 MB',
  limits: () => ({ requests: 1_000_000 }),
  async run({ server, scale, open }, lines) {
    const sender = open('ann', 'huge')
    const calm = open('bob', 'calm', 1)
    await calm.ask('PUT', '/api/cache/small', { value: 1 })
    const passes = scale.isSmoke ? 2 : 20
    await server.ask({ do: 'watchLoop' })
    const stop = new AbortController()
    const reading = calm.read(() => '/api/cache/small', { until: stop.signal, gapMs: 2 })
    let wrong = 0
    let slowest = { ms: 0, name: 'none' }
    const all = bodies()
    for (let pass = 0; pass < passes; pass++) {
      for (const [name, method, path, body, expected] of all) {
        const answer = await sender.ask(method, path, body).catch((error) => ({ status: error.code, ms: 0 }))
        // Whoever sends on when he was answered is cut off: he may see that before the answer.
        const sent = body?.isChunked ? 16 * MB : Buffer.byteLength(body ?? path)
        const isCut = ['ECONNRESET', 'EPIPE'].includes(answer.status) && sent > MB
        if (!isCut && !expected.includes(answer.status)) {
          wrong++
          lines.figure(`${name} was answered`, String(answer.status))
        }
        // The first pass compiles.
        if (pass > 0 && answer.ms > slowest.ms) slowest = { ms: answer.ms, name }
      }
    }
    stop.abort()
    const { failed } = await reading
    const { stalledMs } = await server.ask({ do: 'loop' })
    lines.goal('not refused with 400, 413, 414, 422 or 431', wrong, 0)
    lines.goal('the slowest refusal, ms', slowest.ms, scale.isSmoke ? 5_000 : 50)
    lines.figure('it was that of', slowest.name)
    lines.goal('the longest that the event loop stood still, ms', stalledMs, scale.isSmoke ? 5_000 : 100)
    lines.goal('reads of others that failed meanwhile', failed.length, 0)
  },
}
