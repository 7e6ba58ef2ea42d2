import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCache } from '../create.js'
import { BY_MAX, type By, readBy } from './by.js'
import type { Change } from './change.js'
import { MemoryLog } from './memory.js'

// Who asked might be lost on the way, be taken from what somebody else wrote, or carry what a journal can't hold.

const RUNS = Number(process.env.TIDEMARK_RUNS ?? 200)
const PARTS = Object.keys(BY_MAX) as (keyof By)[]

/** A log that remembers what was appended. */
function recorded() {
  const changes: Change[] = []
  const log = new MemoryLog()
  const append = log.append.bind(log)
  log.append = (change) => {
    changes.push(change)
    return append(change)
  }
  return { cache: createCache({ log }), changes }
}

const text = (max: number) => fc.string({ unit: 'binary', maxLength: max + 2 })
const anything = fc.oneof(...PARTS.map((part) => text(BY_MAX[part])), fc.anything(), fc.constant(undefined))
const by = fc.record({ actor: anything, requestId: anything, cause: anything, pattern: anything }, { requiredKeys: [] })

describe('who asked', () => {
  test('what a request may say comes out of every log as it went in, and what it may not say is refused', async () => {
    const { cache, changes } = recorded()
    await fc.assert(
      fc.asyncProperty(by, async (given) => {
        changes.length = 0
        const error = await cache.invalidate({ tags: ['t'], by: given as By }).catch((each: unknown) => each)
        if (typeof error !== 'string') {
          expect(error).toMatchObject({ code: 'TIDEMARK_OPTION', message: expect.stringContaining('by.') })
          expect(changes).toEqual([])
          return
        }
        const said = Object.fromEntries(Object.entries(given).filter(([, part]) => part !== undefined))
        const [change] = changes as [Change & { by?: By }]
        expect(change.by ?? {}).toEqual(said)
        expect('by' in change).toBe(Object.keys(said).length > 0)
        // As JSON and back, as in a record.
        expect(readBy(JSON.parse(JSON.stringify(change.by ?? null)))).toEqual(change.by)
      }),
      { numRuns: RUNS },
    )
    await cache.close()
  })

  test('whatever stands in a record, reading it never throws and yields only what a request could have said', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          by,
          fc.anything(),
          fc.json().map((json) => JSON.parse(json) as unknown),
        ),
        (value) => {
          const read = readBy(value)
          if (read === undefined) return
          expect(Object.getPrototypeOf(read)).toBe(Object.prototype)
          expect(Object.keys(read).length).toBeGreaterThan(0)
          for (const [part, said] of Object.entries(read)) {
            expect(PARTS).toContain(part)
            expect(said).toBe((value as By)[part as keyof By])
            expect(said.length).toBeLessThanOrEqual(BY_MAX[part as keyof By])
            expect(said).not.toMatch(/[\0\r\n]/)
          }
        },
      ),
      { numRuns: RUNS },
    )
  })

  test.each([
    ['an empty actor', { actor: '' }],
    ['a long actor', { actor: 'x'.repeat(257) }],
    ['a long cause', { cause: 'x'.repeat(1_025) }],
    ['a line break', { actor: 'a\nb' }],
    ['a line separator', { cause: 'a\u2028b' }],
    ['a NUL', { requestId: 'a\0' }],
    ['half a character', { actor: '\ud800' }],
    ['a part that is not known', { user: 'admin' }],
    ['no object', 'admin'],
    ['null', null],
  ])('%s is refused, and nothing is appended', async (_, given) => {
    const { cache, changes } = recorded()
    const asked = cache.invalidate({ tags: ['t'], by: given as By })
    await expect(asked).rejects.toMatchObject({ code: 'TIDEMARK_OPTION' })
    expect(changes).toEqual([])
    await cache.close()
  })
})
