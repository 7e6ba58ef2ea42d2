import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Interval, Intervals } from './intervals.js'
import { afterPrefix, compareKeys, keyOf } from './order.js'

// The tree might lose a range when it turns, cut a branch that reaches the value, or take an end that is not included for one that is.
// The model is a list that is looked through.

interface Plain {
  readonly from: { value: string; isIncluded: boolean } | undefined
  readonly to: { value: string; isIncluded: boolean } | undefined
  readonly rank: string
}

const point = fc.integer({ min: 0, max: 12 }).map(String)
const end = fc.option(fc.record({ value: point, isIncluded: fc.boolean() }), { nil: undefined })
const plain = fc.record({ from: end, to: end, rank: fc.constantFrom('', 'a') })
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('insert' as const), plain }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), at: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('stab' as const), point }) },
)

function holds({ from, to }: Plain, value: number): boolean {
  const begins = !from || Number(from.value) < value || (from.isIncluded && Number(from.value) === value)
  return begins && (!to || value < Number(to.value) || (to.isIncluded && value === Number(to.value)))
}

test('a value finds exactly the ranges that hold it, whatever came and went', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const tree = new Intervals('number')
      const held: { plain: Plain; interval: Interval }[] = []
      let seed = 0
      for (const each of steps) {
        if (each.do === 'insert') {
          const { from, to, rank } = each.plain
          const ends = { ...(from && { from }), ...(to && { to }) }
          const interval = new Interval({ column: 'a', order: 'number', ...ends }, rank, seed++)
          const same = held.find((other) => JSON.stringify(other.plain) === JSON.stringify(each.plain))
          expect(tree.find(interval)).toBe(same?.interval)
          if (same) continue
          tree.insert(interval)
          held.push({ plain: each.plain, interval })
        } else if (each.do === 'remove' && held.length > 0) {
          const [gone] = held.splice(each.at % held.length, 1)
          tree.remove(gone!.interval)
        } else if (each.do === 'stab') {
          const found = new Set<Interval>()
          tree.stab(Number(each.point), (interval) => {
            expect(found.has(interval)).toBe(false)
            found.add(interval)
          })
          const expected = held.filter((one) => holds(one.plain, Number(each.point)))
          expect(found).toEqual(new Set(expected.map(({ interval }) => interval)))
        }
        expect(tree.isEmpty).toBe(held.length === 0)
      }
    }),
    { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 2000) },
  )
})

test('ranges that are added in their order make no deep tree', () => {
  const tree = new Intervals('number')
  const depth = (node: Interval | undefined): number => (node ? 1 + Math.max(depth(node.left), depth(node.right)) : 0)
  const all: Interval[] = []
  for (let i = 0; i < 20_000; i++) {
    const bound = { value: String(i), isIncluded: true }
    all.push(new Interval({ column: 'a', order: 'number', from: bound, to: bound }, '', i))
    tree.insert(all[i]!)
  }
  expect(Math.max(...all.slice(0, 200).map(depth))).toBeLessThan(60)
  let found = 0
  tree.stab(777, () => found++)
  expect(found).toBe(1)
})

test('texts are ordered by code point, and those that begin with a prefix lie before what comes after it', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', 'z', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'),
    maxLength: 4,
  })
  const bytes = (value: string) => Buffer.from(value)
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareKeys('text', a, b))).toBe(Buffer.compare(bytes(a), bytes(b)))
      const after = afterPrefix(a)
      const isBefore = after === undefined || compareKeys('text', b, after) < 0
      expect(compareKeys('text', b, a) >= 0 && isBefore).toBe(b.startsWith(a))
    }),
  )
})

test('numbers are ordered and equal by value, whatever their digits', () => {
  const digits = fc.string({ unit: fc.constantFrom('0', '1', '9'), maxLength: 20 })
  const number = fc
    .record({ isNegative: fc.boolean(), whole: digits, fraction: digits })
    .map(
      ({ isNegative, whole, fraction }) => `${isNegative ? '-' : ''}${whole || '0'}${fraction ? `.${fraction}` : ''}`,
    )
  const scaled = (text: string) => {
    const [whole = '', fraction = ''] = text.replace('-', '').split('.')
    return BigInt(whole + fraction.padEnd(20, '0')) * (text.startsWith('-') ? -1n : 1n)
  }
  fc.assert(
    fc.property(number, number, (a, b) => {
      const [left, right] = [keyOf('number', a)!, keyOf('number', b)!]
      const difference = scaled(a) - scaled(b)
      expect(Math.sign(compareKeys('number', left, right))).toBe(difference < 0n ? -1 : difference > 0n ? 1 : 0)
      expect(left === right).toBe(difference === 0n)
      expect(keyOf('number', String(left))).toBe(left)
    }),
    { numRuns: 5_000 },
  )
})

test('what is beyond all numbers and moments comes where PostgreSQL puts it', () => {
  const orders = {
    number: ['-Infinity', '-10000000000000000000', '-1', '0', '0.0000001', '10000000000000000000', 'Infinity', 'NaN'],
    float: ['-Infinity', '-1e+300', '-1', '0', '1e-7', '1e+300', 'Infinity', 'NaN'],
    moment: [
      ...[
        '-infinity',
        '4713-01-01 BC',
        '0044-03-15 BC',
        '0044-03-15 00:00:00.5+00 BC',
        '0044-03-16 BC',
        '0001-01-01 BC',
      ],
      ...[
        '0001-01-01',
        '1999-12-31 23:59:59.999999+00',
        '2000-01-01 00:00:00+00',
        '9999-12-31',
        '10000-01-01',
        '294276-12-31',
      ],
      'infinity',
    ],
  } as const
  for (const order of ['number', 'float', 'moment'] as const) {
    const keys = orders[order].map((text) => keyOf(order, text)!)
    expect(keys.map((key) => keyOf(order, String(key)))).toEqual(keys)
    for (const [i, a] of keys.entries())
      for (const [j, b] of keys.entries())
        expect(Math.sign(compareKeys(order, a, b)), `${a} ${b}`).toBe(Math.sign(i - j))
  }
})

test('the folded text of every character folds to itself', () => {
  for (let point = 0; point <= 0x10ffff; point++) {
    if (point >= 0xd800 && point < 0xe000) continue
    const key = keyOf('folded', String.fromCodePoint(point))
    if (key !== undefined && keyOf('folded', String(key)) !== key) expect.fail(`U+${point.toString(16)}`)
  }
})
