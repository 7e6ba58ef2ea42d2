import { type Clock, systemClock } from 'tidemark'
import { describe, expect, it } from 'vitest'
import { drawToken, hashOfToken, type StoredToken } from './token.js'
import { TokenBook } from './token-book.js'

/** A database with tokens, and a time of its own. */
function world({ outageMaxMs = 0 } = {}) {
  const state = { now: 0, isDown: false, queries: 0, most: 0, running: 0 }
  const rows = new Map<string, StoredToken & { hash: Buffer }>()
  const timers: { at: number; run: () => void }[] = []
  const clock: Clock = {
    ...systemClock,
    now: () => state.now,
    wall: () => state.now,
    after(ms, run) {
      const timer = { at: state.now + ms, run }
      timers.push(timer)
      return { cancel: () => void timers.splice(timers.indexOf(timer) >>> 0, 1) }
    },
  }
  const find = async (ids: readonly string[]) => {
    state.queries++
    state.most = Math.max(state.most, ++state.running)
    await new Promise((resolve) => setImmediate(resolve))
    state.running--
    if (state.isDown) throw new Error('down')
    return ids.flatMap((id) => rows.get(id) ?? [])
  }
  const book = new TokenBook({ find, outageMaxMs, clock })
  return {
    book,
    state,
    rows,
    add(): { token: string; id: string } {
      const { id, token, hash } = drawToken()
      const at = new Date(0)
      rows.set(id, {
        id,
        name: id,
        hash,
        roles: ['viewer'],
        tenants: 'all',
        createdAt: at,
        expiresAt: undefined,
        revokedAt: undefined,
      })
      return { token, id }
    },
    async pass(ms: number): Promise<void> {
      state.now += ms
      for (const timer of timers.filter(({ at }) => at <= state.now)) {
        timers.splice(timers.indexOf(timer), 1)
        timer.run()
      }
      for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

const outcome = (asked: Promise<unknown>) =>
  asked.then(
    () => 'known',
    (error) => error.code,
  )

describe('the book of tokens', () => {
  it('asks the database once for many, and one question at a time, whatever floods it', async () => {
    const { book, add, state } = world()
    const { token } = add()
    await Promise.all(Array.from({ length: 500 }, () => book.check(token)))
    // The first is asked for at once, and the others, who came later, together.
    expect(state.queries).toBe(2)
    const strangers = Array.from({ length: 900 }, () => outcome(book.check(drawToken().token)))
    expect(new Set(await Promise.all(strangers))).toEqual(new Set(['TIDEMARK_UNAUTHENTICATED']))
    expect(state.most).toBe(1)
    expect(state.queries).toBeLessThanOrEqual(2 + 11)
    const tooMany = await Promise.all(Array.from({ length: 3_000 }, () => outcome(book.check(drawToken().token))))
    expect(new Set(tooMany)).toEqual(new Set(['TIDEMARK_UNAUTHENTICATED', 'TIDEMARK_ACCESS_UNKNOWN']))
    expect(await outcome(book.check(token))).toBe('known')
  })

  it('sees a revocation at the latest 1.5 s after it looked', async () => {
    const { book, add, rows, pass } = world()
    const { token, id } = add()
    expect(await outcome(book.check(token))).toBe('known')
    rows.set(id, { ...rows.get(id)!, revokedAt: new Date(0) })
    await pass(1_500)
    expect(await outcome(book.check(token))).toBe('TIDEMARK_UNAUTHENTICATED')
  })

  it('lets nobody go on while the database is down, unless that is allowed, and for no longer', async () => {
    for (const outageMaxMs of [0, 60_000]) {
      const { book, add, state, pass } = world({ outageMaxMs })
      const { token } = add()
      const { token: another } = add()
      await book.check(token)
      state.isDown = true
      await pass(2_000)
      expect(await outcome(book.check(token))).toBe(outageMaxMs === 0 ? 'TIDEMARK_ACCESS_UNKNOWN' : 'known')
      expect(await outcome(book.check(another))).toBe('TIDEMARK_ACCESS_UNKNOWN')
      await pass(60_000)
      expect(await outcome(book.check(token))).toBe('TIDEMARK_ACCESS_UNKNOWN')
      state.isDown = false
      expect(await outcome(book.check(token))).toBe('known')
    }
  })

  it('ends what is watched when it no longer counts, and nothing else', async () => {
    const { book, add, rows, pass } = world()
    const [one, two, three] = [add(), add(), add()]
    const ended: string[] = []
    const left = new AbortController()
    for (const { id } of [one, two]) book.watch(id, () => ended.push(id), new AbortController().signal)
    book.watch(three.id, () => ended.push(three.id), left.signal)
    await pass(1_500)
    expect(ended).toEqual([])
    rows.delete(one.id)
    rows.delete(three.id)
    left.abort()
    await pass(1_500)
    expect(ended).toEqual([one.id])
    book.close()
  })

  it('compares the whole of a token', async () => {
    const { book, add } = world()
    const { token, id } = add()
    expect(await outcome(book.check(`tdm_${id}_${'A'.repeat(43)}`))).toBe('TIDEMARK_UNAUTHENTICATED')
    expect(hashOfToken(token)).toHaveLength(32)
  })
})
