import { deepStrictEqual as equal } from 'node:assert/strict'
import type { Dependency } from '../dependencies/dependency.js'
import type { L2, L2Answer, L2Batch, L2Entry, L2Fill } from '../tiers/l2.js'

/** An L2 as the contract sees it: empty, and of nobody else. */
export interface L2UnderTest {
  readonly l2: L2
  close(): Promise<void>
}

/** One case of the contract: `run` rejects where the L2 does not keep it. */
export interface L2Case {
  readonly name: string
  run(): Promise<void>
}

const EPOCH = 'epoch-1'
/** What L1 can hold, a value is the same from L2. */
const VALUES: readonly unknown[] = [
  null,
  undefined,
  [],
  0,
  -0,
  Number.NaN,
  '',
  '\u0000 é 😀',
  12_345_678_901_234_567_890n,
  new Date(5),
  new Map([[1, { a: new Set(['x']) }]]),
  new Uint8Array([0, 255]),
  { a: [undefined, { b: null }] },
]
const POST: Dependency = { kind: 'key', tenant: 'default', key: 'post(1)' }

/** Limits that a case needs; without, those by default. */
export interface L2Limits {
  readonly shapesMax?: number
}

/** What every L2 must do, as cases for any test runner. `open` is called once for each case. */
export function l2Contract(open: (limits: L2Limits) => Promise<L2UnderTest>): L2Case[] {
  const cases: L2Case[] = []
  const test = (name: string, run: (l2: L2) => Promise<void>, limits: L2Limits = {}): void => {
    cases.push({
      name,
      async run() {
        const opened = await open(limits)
        try {
          await run(opened.l2)
        } finally {
          await opened.close()
        }
      },
    })
  }

  test('it has nothing, and takes nothing, before a batch says where the log stands', async (l2) => {
    equal(await l2.read('a'), { tide: undefined, entry: undefined })
    equal(await l2.fill('a', fill(100)), 'refused')
    equal(await l2.read('a'), { tide: undefined, entry: undefined })
    equal((await l2.invalidate(batch(90, 100))).state, 'applied')
    equal(await l2.read('a'), { tide: { epoch: EPOCH, m: 100 }, entry: undefined })
  })

  test('it brings back what it was given, whatever the value and the key', async (l2) => {
    await l2.invalidate(batch(90, 100))
    for (const [i, value] of VALUES.entries()) {
      const key = `{${i}}:"\u0000 é 😀`
      const remainingMs = i % 2 === 0 ? 600_000 : Number.POSITIVE_INFINITY
      equal(await l2.fill(key, { ...fill(100), value, remainingMs }), 'stored')
      const { value: back, lsn, dependencies } = (await entryOf(l2, key))!
      equal({ value: back, lsn, dependencies }, { value, lsn: 100, dependencies: [POST] })
    }
  })

  test('an entry grows older, and is gone when its time is over', async (l2) => {
    await l2.invalidate(batch(90, 100))
    await l2.fill('a', { ...fill(100), ageMs: 500, remainingMs: 600_000 })
    await l2.fill('b', { ...fill(100), ageMs: 500 })
    await l2.fill('c', { ...fill(100), remainingMs: 40 })
    const until = Date.now() + 10_000
    while ((await entryOf(l2, 'c')) && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 5))
    equal(await entryOf(l2, 'c'), undefined)
    const [a, b] = [(await entryOf(l2, 'a'))!, (await entryOf(l2, 'b'))!]
    equal([a.ageMs >= 535, a.ageMs < 60_000, Math.abs(a.ageMs + a.remainingMs - 600_500) < 5], [true, true, true])
    equal([b.ageMs >= 535, b.remainingMs], [true, Number.POSITIVE_INFINITY])
  })

  test('a change removes what has its stamp and is older, and nothing else', async (l2) => {
    await l2.invalidate(batch(90, 100))
    await l2.fill('a', fill(100, 'posts', '1'))
    await l2.fill('b', fill(100, 'posts', '2'))
    await l2.fill('c', fill(100, 'comments', '1'))
    await l2.fill('d', fill(120, 'posts', '1'))
    await told(l2, batch(100, 120, [110, 'posts', '1']))
    equal(await lsns(l2, 'a', 'b', 'c', 'd'), [undefined, 100, 100, 120])
  })

  test('a mark of a whole shape removes all that is older and has it, also among others', async (l2) => {
    await l2.invalidate(batch(90, 100))
    await l2.fill('a', fill(100, 'posts', '1'))
    const both = {
      ...fill(100, 'comments', '1'),
      stamps: [
        { shape: 'comments', name: '1' },
        { shape: 'posts', name: '9' },
      ],
    }
    await l2.fill('b', both)
    await l2.fill('c', fill(100, 'comments', '1'))
    await told(l2, batch(100, 120, [110, 'posts', undefined]))
    equal(await lsns(l2, 'a', 'b', 'c'), [undefined, undefined, 100])
    equal(await l2.fill('a', fill(109, 'posts', '1')), 'refused')
    equal(await l2.fill('a', fill(110, 'posts', '1')), 'stored')
  })

  test('an expiry leaves what is older as expired, until it is loaded anew, or a change drops it', async (l2) => {
    const expiry = (prev: number, lsn: number, name: string): L2Batch => ({
      ...batch(prev, lsn),
      marks: [{ lsn, shape: 'posts', name, isExpiry: true }],
    })
    const seen = async (key: string) => {
      const { entry, isExpired } = await l2.read(key)
      return [entry?.lsn, isExpired === true]
    }
    await l2.invalidate(batch(90, 100))
    for (const [key, name] of ['1', '2', '3'].entries()) await l2.fill(`${key}`, fill(100, 'posts', name))
    await told(l2, expiry(100, 110, '1'))
    await told(l2, expiry(110, 120, '2'))
    equal(await Promise.all(['0', '1', '2'].map(seen)), [
      [100, true],
      [100, true],
      [100, false],
    ])
    equal(await l2.fill('0', fill(109, 'posts', '1')), 'refused')
    equal(await l2.fill('0', fill(110, 'posts', '1')), 'stored')
    await told(l2, batch(120, 130, [130, 'posts', '2']))
    equal(await Promise.all(['0', '1', '2'].map(seen)), [
      [110, false],
      [undefined, false],
      [100, false],
    ])
    // One after the other, the drop counts; so does that of the whole shape.
    await told(l2, expiry(130, 140, '1'))
    await told(l2, batch(140, 150, [150, 'posts', undefined]))
    equal(await Promise.all(['0', '2'].map(seen)), [
      [undefined, false],
      [undefined, false],
    ])
  })

  test('a fill is refused after a change that it did not see, of another epoch, and where a later one is', async (l2) => {
    await l2.invalidate(batch(90, 100))
    await l2.fill('x', fill(100, 'posts', '1'))
    await told(l2, batch(100, 120, [110, 'posts', '1']))
    equal(await l2.fill('a', fill(109, 'posts', '1')), 'refused')
    equal(await l2.fill('a', fill(110, 'posts', '1')), 'stored')
    equal(await l2.fill('a', fill(130, 'posts', '1')), 'stored')
    equal(await l2.fill('a', fill(120, 'posts', '1')), 'refused')
    equal(await l2.fill('a', { ...fill(140, 'posts', '1'), epoch: 'epoch-0' }), 'refused')
    equal(await lsns(l2, 'a'), [130])
  })

  test('a shape that is new is believed from there on where it was registered', async (l2) => {
    await l2.invalidate(batch(90, 100))
    equal(await l2.fill('a', fill(99, 'posts', '1')), 'refused')
    equal(await l2.fill('a', fill(100, 'posts', '1')), 'stored')
  })

  test('marks for other shapes than it has do nothing, and the answer has the shapes', async (l2) => {
    await l2.invalidate(batch(90, 100))
    await l2.fill('a', fill(100, 'posts', '1'))
    const answer = await l2.invalidate({ ...batch(100, 120), shapes: 'other' })
    equal({ state: answer.state, m: answer.m, shapes: answer.shapes }, { state: 'shapes', m: 100, shapes: ['posts'] })
    await l2.fill('b', fill(100, 'comments', '1'))
    const next = await l2.invalidate({ ...batch(100, 120), shapes: answer.shapesId })
    equal([next.state, [...(next.shapes ?? [])].sort()], ['shapes', ['comments', 'posts']])
    equal((await l2.read('a')).tide, { epoch: EPOCH, m: 100 })
  })

  test('a batch that was applied, or that overlaps one, changes nothing of what was', async (l2) => {
    await l2.invalidate(batch(90, 100))
    await l2.fill('a', fill(100, 'posts', '1'))
    await told(l2, batch(100, 120, [110, 'posts', '1']))
    await l2.fill('a', fill(115, 'posts', '1'))
    equal((await l2.invalidate(batch(100, 120, [110, 'posts', '1']))).state, 'applied')
    equal(await lsns(l2, 'a'), [115])
    await told(l2, batch(90, 130, [95, 'posts', '1'], [110, 'posts', '1'], [114, 'posts', '1']))
    equal(await lsns(l2, 'a'), [115])
    await told(l2, batch(80, 140, [95, 'posts', '1'], [110, 'posts', '1'], [135, 'posts', '1']))
    equal(await lsns(l2, 'a'), [undefined])
    equal((await l2.read('a')).tide, { epoch: EPOCH, m: 140 })
  })

  test('a batch after a gap waits, or starts anew with nothing', async (l2) => {
    await l2.invalidate(batch(90, 100))
    await l2.fill('a', fill(100, 'posts', '1'))
    const gap = batch(110, 120)
    equal((await l2.invalidate(gap)).state, 'behind')
    equal(await lsns(l2, 'a'), [100])
    const answer = await l2.invalidate({ ...gap, mayReset: true })
    equal([answer.state, answer.m], ['applied', 120])
    equal(await lsns(l2, 'a'), [undefined])
    equal(await l2.fill('a', fill(119, 'posts', '1')), 'refused')
    equal(await l2.fill('a', fill(120, 'posts', '1')), 'stored')
  })

  test('another epoch starts anew with nothing, whatever its positions', async (l2) => {
    await l2.invalidate(batch(90, 100))
    await l2.fill('a', fill(100, 'posts', '1'))
    await l2.invalidate({ ...batch(10, 20), epoch: 'epoch-2' })
    equal(await l2.read('a'), { tide: { epoch: 'epoch-2', m: 20 }, entry: undefined })
    equal(await l2.fill('a', fill(100, 'posts', '1')), 'refused')
  })

  test('an empty batch moves its tidemark', async (l2) => {
    await l2.invalidate(batch(90, 100))
    await told(l2, batch(100, 150))
    equal((await l2.read('a')).tide, { epoch: EPOCH, m: 150 })
  })

  test('one process at a time holds a key, until it lets go or its time is over, where there are leases', async (l2) => {
    if (!l2.lease || !l2.release) return
    equal(await l2.lease('a', 'one', 60_000), true)
    equal(await l2.lease('a', 'one', 60_000), true)
    equal(await l2.lease('a', 'two', 60_000), false)
    equal(await l2.lease('b', 'two', 60_000), true)
    await l2.release('a', 'two')
    equal(await l2.lease('a', 'two', 60_000), false)
    await l2.release('a', 'one')
    equal(await l2.lease('a', 'two', 40), true)
    const until = Date.now() + 10_000
    while (!(await l2.lease('a', 'one', 60_000)) && Date.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 5))
    equal(await l2.lease('a', 'two', 60_000), false)
  })

  test('who stores what it holds the lease of lets go of it in the same step, and of no other', async (l2) => {
    if (!l2.lease) return
    await l2.invalidate(batch(90, 100))
    for (const key of ['a', 'b', 'c']) equal(await l2.lease(key, 'one', 60_000), true)
    const fills = [
      l2.fill('a', { ...fill(100), holder: 'one' }),
      l2.fill('b', { ...fill(100), holder: 'two' }),
      l2.fill('c', { ...fill(99), holder: 'one' }),
    ]
    equal(await Promise.all(fills), ['stored', 'stored', 'refused'])
    // What was not stored is nobody's news: its lease stays.
    equal(await Promise.all(['a', 'b', 'c'].map((key) => l2.lease!(key, 'two', 60_000))), [true, false, false])
  })

  test('a pattern is told to whoever reads an older entry of its shape, and leaves the entry where it is', async (l2) => {
    await l2.invalidate(batch(90, 100))
    await l2.fill('a', fill(100, 'key', 'a'))
    await l2.fill('b', fill(115, 'key', 'b'))
    await l2.fill('c', fill(100, 'posts', 'c'))
    const pattern = (lsn: number, text: string): L2Batch['marks'][number] => ({
      lsn,
      shape: 'key',
      name: undefined,
      pattern: text,
    })
    const seen = async (key: string) => {
      const { entry, patterns } = await l2.read(key)
      return [entry?.lsn, patterns]
    }
    equal(await seen('a'), [100, undefined])
    await told(l2, { ...batch(100, 120), marks: [pattern(110, 'one é'), pattern(116, 'two')] })
    equal(await seen('a'), [100, ['one é', 'two']])
    equal(await seen('b'), [115, ['two']])
    equal(await seen('c'), [100, undefined])
    // Told again, or of before where it stands: nothing new.
    await told(l2, { ...batch(100, 130), marks: [pattern(110, 'one é'), pattern(125, 'three')] })
    equal(await seen('a'), [100, ['one é', 'two', 'three']])
    equal(await l2.fill('a', fill(130, 'key', 'a')), 'stored')
    equal(await seen('a'), [130, undefined])
    // However many there are, none is forgotten for an entry that is older.
    const many = Array.from({ length: 200 }, (_, i) => pattern(131 + i, `p${i}`))
    await told(l2, { ...batch(130, 400), marks: many })
    equal(await seen('a'), [undefined, undefined])
    equal(await l2.fill('a', fill(329, 'key', 'a')), 'stored')
    equal(await seen('a'), [329, ['p199']])
  })

  test(
    'beyond as many shapes as there may be, wide stamps are used, and changes that name those void the entry',
    async (l2) => {
      const wide = (shape: string, name: string): L2Fill => ({
        ...fill(100),
        stamps: [{ shape, name, wide: { shape: 'table', name: '' } }],
      })
      await l2.invalidate(batch(90, 100))
      equal(await l2.fill('a', wide('one', '1')), 'stored')
      equal(await l2.fill('b', wide('two', '1')), 'stored')
      for (const [i, key] of ['c', 'd', 'e'].entries()) equal(await l2.fill(key, wide(`more${i}`, '1')), 'stored')
      const answer = await l2.invalidate({ ...batch(100, 120), shapes: 'other' })
      equal([...answer.shapes!].sort(), ['one', 'table', 'two'])
      await told(l2, batch(100, 120, [110, 'one', '1']))
      equal(await lsns(l2, 'a', 'b', 'c', 'd', 'e'), [undefined, 100, 100, 100, 100])
      equal(await l2.fill('f', { ...wide('one', '2'), lsn: 120 }), 'stored')
      await told(l2, batch(120, 140, [130, 'table', '']))
      equal(await lsns(l2, 'b', 'c', 'd', 'e', 'f'), [100, undefined, undefined, undefined, 120])
      equal(await l2.fill('c', { ...wide('more0', '1'), lsn: 129 }), 'refused')
      equal(await l2.fill('c', { ...wide('more0', '1'), lsn: 130 }), 'stored')
      // There is room for as many wide ones again, and no more.
      for (const [i, expected] of ['stored', 'refused', 'refused'].entries()) {
        const stamps = [{ shape: `own${i}`, name: '', wide: { shape: `wide${i}`, name: '' } }]
        equal(await l2.fill('g', { ...fill(140), stamps }), expected)
      }
    },
    { shapesMax: 2 },
  )

  test('a read that finds nothing asks for the key at the same time, where there are leases', async (l2) => {
    if (!l2.lease || !l2.release) return
    await l2.invalidate(batch(90, 100))
    await l2.fill('full', fill(100))
    const ask = (holder: string) => ({ holder, ms: 60_000 })
    const read = async (key: string, holder: string) => {
      const { entry, isLeased } = await l2.read(key, ask(holder))
      return [entry?.lsn, isLeased]
    }
    equal(await read('a', 'one'), [undefined, true])
    equal(await read('a', 'one'), [undefined, true])
    equal(await read('a', 'two'), [undefined, false])
    equal(await l2.lease('a', 'two', 60_000), false)
    equal(await read('full', 'one'), [100, undefined])
    equal(await l2.lease('full', 'two', 60_000), true)
    equal((await l2.read('b')).isLeased, undefined)
    equal(await l2.lease('b', 'two', 60_000), true)
    equal(await read('b', 'one'), [undefined, false])
    // What a change made stale is to be loaded as well.
    await told(l2, batch(100, 120, [110, 'key', undefined]))
    equal(await read('full', 'one'), [undefined, false])
    await l2.release('full', 'two')
    equal(await read('full', 'one'), [undefined, true])
    await l2.release('a', 'one')
    equal(await Promise.all(['one', 'two'].map((holder) => read('a', holder).then(([, is]) => is))), [true, false])
  })

  test('what a change has dropped by its key is taken out and counted, where that is done', async (l2) => {
    if (!l2.remove) return
    const keys = ['old', 'new', 'never there', '{é}']
    equal(await l2.remove(keys, { epoch: EPOCH, lsn: 110 }), undefined)
    await l2.invalidate(batch(90, 100))
    for (const key of ['old', 'other', '{é}']) await l2.fill(key, fill(100, 'key', key))
    await told(l2, batch(100, 120))
    await l2.fill('new', fill(120, 'key', 'new'))
    equal(await l2.remove(keys, { epoch: 'epoch-2', lsn: 110 }), undefined)
    equal(await l2.remove(keys, { epoch: EPOCH, lsn: 110 }), 2)
    equal(await l2.remove(keys, { epoch: EPOCH, lsn: 110 }), 0)
    equal(await lsns(l2, 'old', 'new', 'other', '{é}'), [undefined, 120, 100, undefined])
  })

  return cases
}

function fill(lsn: number, shape = 'key', name = 'post(1)'): L2Fill {
  return {
    epoch: EPOCH,
    value: { lsn },
    lsn,
    dependencies: [POST],
    stamps: [{ shape, name }],
    ageMs: 0,
    remainingMs: Number.POSITIVE_INFINITY,
  }
}

function batch(prev: number, end: number, ...marks: [number, string, string | undefined][]): L2Batch {
  const named = marks.map(([lsn, shape, name]) => ({ lsn, shape, name }))
  return { epoch: EPOCH, prev, end, shapes: undefined, marks: named, mayReset: false }
}

/** Tells it, with the shapes that it has. */
async function told(l2: L2, batch: L2Batch): Promise<L2Answer> {
  const answer = await l2.invalidate(batch)
  const again = answer.state === 'shapes' ? await l2.invalidate({ ...batch, shapes: answer.shapesId }) : answer
  equal(again.state, 'applied')
  return again
}

async function entryOf(l2: L2, key: string): Promise<L2Entry | undefined> {
  return (await l2.read(key)).entry
}

async function lsns(l2: L2, ...keys: string[]): Promise<(number | undefined)[]> {
  return Promise.all(keys.map(async (key) => (await entryOf(l2, key))?.lsn))
}
