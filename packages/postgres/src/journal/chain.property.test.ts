import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ChainCheck, type CheckedRecord, type Head, hashOf, ORIGIN } from './chain.js'
import type { JournalRecord } from './record.js'

// A chain that somebody changed must show it: else the journal proves nothing. One that nobody changed must not.

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 300)
const text = fc.string({ unit: 'binary', maxLength: 8 })
const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: null })

const content = fc.record({
  origin: fc.constantFrom('request', 'rows', 'effect', 'refill'),
  n: fc.nat(9),
  process: text,
  at: fc.nat(),
  lsn: fc.nat(),
  pattern: maybe(text),
  keys: fc.array(text, { maxLength: 3 }),
  tags: fc.array(text, { maxLength: 3 }),
  tables: fc.array(text, { maxLength: 3 }),
  actor: maybe(text),
  requestId: maybe(text),
  cause: maybe(text),
  latencyMs: maybe(fc.nat().map((n) => n / 1_000)),
  detail: text,
})

function chainOf(contents: readonly object[]): CheckedRecord[] {
  let before = ORIGIN.hash
  return contents.map((each, i) => {
    const place = { id: i + 1, log: 'l', chain: 'source', seq: i + 1, tenant: null, month: 202611, created: i }
    const record = { mode: null, epoch: 'e', ...place, ...each } as unknown as JournalRecord
    before = hashOf(before, record)
    return { record, hash: before }
  })
}

const headOf = (chain: readonly CheckedRecord[]): Head | undefined =>
  chain.length > 0 ? { seq: chain.at(-1)!.record.seq, hash: chain.at(-1)!.hash } : undefined

function problemsOf(
  chain: readonly CheckedRecord[],
  heads: readonly Head[],
  head: Head | undefined,
  anchors: readonly Head[] = [],
) {
  const check = new ChainCheck('source', { heads, anchors })
  for (const each of chain) check.add(each)
  return check.end(head).map(({ kind }) => kind)
}

const records = fc.array(content, { minLength: 1, maxLength: 12 })

test('a chain that nobody touched is intact, with any of its heads signed', () => {
  fc.assert(
    fc.property(records, fc.nat(), (contents, pick) => {
      const chain = chainOf(contents)
      const signed = chain.slice(0, pick % (chain.length + 1))
      expect(
        problemsOf(
          chain,
          signed.map((each) => headOf([each])!),
          headOf(chain),
        ),
      ).toEqual([])
    }),
    { numRuns: RUNS },
  )
})

test('a record of which any field is another one shows, and so does every way to take one out', () => {
  fc.assert(
    fc.property(records, content, fc.nat(), fc.nat(), (contents, other, place, field) => {
      const chain = chainOf(contents)
      const at = place % chain.length
      const name = Object.keys(other)[field % Object.keys(other).length] as keyof typeof other
      const changed = { ...chain[at]!.record, [name]: other[name] } as JournalRecord
      const heads = [headOf(chain)!]
      if (JSON.stringify(changed) !== JSON.stringify(chain[at]!.record)) {
        const touched = chain.with(at, { ...chain[at]!, record: changed })
        expect(problemsOf(touched, heads, headOf(touched))).toContain('changed')
      }
      const removed = chain.toSpliced(at, 1)
      expect(problemsOf(removed, heads, headOf(removed))).not.toEqual([])
      const doubled = chain.toSpliced(at, 0, chain[at]!)
      expect(problemsOf(doubled, heads, headOf(doubled))).toContain('missing')
    }),
    { numRuns: RUNS },
  )
})

test('a chain that is written anew with hashes that fit, or cut at its end, shows by what was signed', () => {
  fc.assert(
    fc.property(records, content, fc.nat(), (contents, other, place) => {
      const chain = chainOf(contents)
      const at = place % chain.length
      const heads = [headOf(chain)!]
      const anew = chainOf(contents.with(at, { ...other, actor: `not ${contents[at]!.actor}` }))
      expect(problemsOf(anew, [], headOf(anew))).toEqual([])
      expect(problemsOf(anew, heads, headOf(anew))).toContain('rewritten')
      const cut = chain.slice(0, at)
      expect(problemsOf(cut, heads, headOf(cut))).toContain('cut')
    }),
    { numRuns: RUNS },
  )
})

test('a chain that was cut and then went on shows by what was signed before, also where a later signature fits', () => {
  fc.assert(
    fc.property(records, content, fc.nat(), (contents, other, place) => {
      const before = chainOf(contents)
      const at = place % before.length
      const after = chainOf([...contents.slice(0, at), { ...other, actor: `not ${contents[at]!.actor}` }])
      const signed = [headOf(before.slice(0, at + 1))!, headOf(after)!]
      for (const heads of [signed, signed.toReversed()])
        expect(problemsOf(after, heads, headOf(after))).toEqual(['rewritten'])
    }),
    { numRuns: RUNS },
  )
})

test('a chain may begin where it was signed that older records were removed, and nowhere else', () => {
  fc.assert(
    fc.property(records, fc.nat(), (contents, place) => {
      const chain = chainOf(contents)
      const at = place % chain.length
      const rest = chain.slice(at + 1)
      const anchor = headOf([chain[at]!])!
      const heads = [headOf(chain)!]
      expect(problemsOf(rest, heads, headOf(chain), [anchor])).toEqual([])
      expect(problemsOf(rest, heads, headOf(chain), [{ ...anchor, hash: 'another' }])).not.toEqual(
        rest.length > 0 ? [] : ['-'],
      )
      if (rest.length > 0) expect(problemsOf(rest, heads, headOf(chain))).toContain('start')
    }),
    { numRuns: RUNS },
  )
})
