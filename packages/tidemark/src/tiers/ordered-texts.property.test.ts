import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Block } from './block.js'
import { OrderedTexts, Page } from './ordered-texts.js'
import { Run } from './run.js'

// It might put an item into the wrong block, split between equal texts and then not find one, or skip or repeat items where a block
// goes between two pages. The model is a sorted array.

type Item = readonly [text: string, handle: number]

const text = fc.oneof(
  fc.constantFrom('', 'a', 'ab', 'b', '\uffff', '\u{10000}'),
  fc.nat(600).map((n) => `k${n}`),
)
const item = fc.tuple(text, fc.nat(3))
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('insert' as const), item }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('remove' as const), item }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('many' as const), item, count: fc.integer({ max: 700 }) }) },
)

test('it has what a sorted array has, and pages show all of a prefix in order, and how many', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.constantFrom('', 'k', 'k1', 'k59', 'a', 'zz'),
      (steps, prefix) => {
        const texts = new OrderedTexts()
        const model = new Map<string, Item>()
        const insert = (item: Item): void => {
          const name = `${item[0]} ${item[1]}`
          if (model.has(name)) return
          model.set(name, item)
          texts.insert(...item)
        }
        for (const each of steps) {
          if (each.do === 'insert') insert(each.item)
          else if (each.do === 'many') for (let i = 0; i < each.count; i++) insert([`k${i}`, each.item[1]])
          else {
            model.delete(`${each.item[0]} ${each.item[1]}`)
            texts.remove(...each.item)
          }
        }
        expect(texts.size).toBe(model.size)
        const expected = [...model.values()].filter(([text]) => text.startsWith(prefix)).sort(byTextAndHandle)
        expect(read(texts, prefix)).toEqual(expected)
        expect(count(texts, prefix)).toBe(expected.length)
        for (const each of texts.blocks) expect(describes(each)).toBe(true)
      },
    ),
  )
})

test('what is removed and inserted between pages disturbs neither what stays nor the end', () => {
  const texts = new OrderedTexts()
  for (let i = 0; i < 2_000; i++) texts.insert(String(i).padStart(4, '0'), i)
  const seen = new Set<number>()
  let removed = 0
  const page = new Page()
  let [text, handle] = ['', -1]
  for (;;) {
    texts.page(page, '', text, handle)
    if (page.texts.length === 0) break
    text = page.texts.at(-1)!
    handle = page.handles.at(-1)!
    for (const each of page.handles) {
      seen.add(each)
      // All of this page, and some of what comes.
      texts.remove(String(each).padStart(4, '0'), each)
      if (each % 7 === 0 && texts.size > 0) {
        const next = String(each + 300).padStart(4, '0')
        const before = texts.size
        texts.remove(next, each + 300)
        removed += before - texts.size
      }
    }
    texts.insert(`!${text}`, 10_000 + handle)
    if (seen.size > 3_000) throw new Error('it does not end')
  }
  expect([...seen].filter((each) => each < 10_000).length).toBe(2_000 - removed)
})

test('so do runs', () => {
  const action = fc.oneof(
    fc.record({ do: fc.constant('next' as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.record({ do: fc.constant('insert' as const), number: fc.nat(1_000) }),
    fc.record({ do: fc.constant('remove' as const), number: fc.nat(1_000), count: fc.constantFrom(1, 1, 300) }),
  )
  fc.assert(
    fc.property(fc.array(action, { minLength: 5, maxLength: 40 }), (actions) => {
      const texts = new OrderedTexts()
      const nameOf = (number: number): string => `k${String(number).padStart(4, '0')}`
      for (let i = 0; i < 1_000; i += 2) texts.insert(nameOf(i), i)
      const stays = new Set(Array.from({ length: 500 }, (_, i) => 2 * i))
      const seen: number[] = []
      const run = new Run(() => texts, 'k')
      const read = (part: number): boolean => {
        if (!run.next()) return false
        run.end(run.from + Math.max(1, Math.ceil((run.to - run.from) * part)))
        for (let i = run.from; i < run.to; i++) seen.push(Number(run.texts[i]!.slice(1)))
        run.mark()
        return true
      }
      for (const each of actions) {
        if (each.do === 'next') read(each.part)
        else if (each.do === 'insert') {
          texts.remove(nameOf(each.number), each.number)
          texts.insert(nameOf(each.number), each.number)
        } else
          for (let i = each.number; i < each.number + each.count; i++) {
            texts.remove(nameOf(i), i)
            if (!seen.includes(i)) stays.delete(i)
          }
      }
      for (let i = 0; read(1); i++) expect(i).toBeLessThan(100)
      expect([...stays].filter((each) => !seen.includes(each))).toEqual([])
      expect(seen).toEqual(seen.toSorted((a, b) => a - b))
      expect(new Set(seen).size).toBe(seen.length)
    }),
  )
})

test('what is left of a run that was ended is not passed over by extending it', () => {
  const texts = new OrderedTexts()
  for (let i = 0; i < 1_000; i++) texts.insert(`k${i}`, i)
  const run = new Run(() => texts, 'k')
  expect(run.next()).toBe(true)
  run.end(3)
  expect(run.extend('k')).toBe(0)
  expect(run.next()).toBe(true)
  expect(run.from).toBe(3)
  expect(run.to + run.extend('k')).toBe(1_000)
})

test('a run that came to the end goes on with what is inserted there since', () => {
  const texts = new OrderedTexts()
  texts.insert('k1', 1)
  const run = new Run(() => texts, 'k')
  expect([run.next(), run.next()]).toEqual([true, false])
  texts.insert('a', 2)
  expect([run.next(), run.next()]).toEqual([false, false])
  texts.insert('k2', 3)
  expect(run.next()).toBe(true)
  expect(run.texts.slice(run.from, run.to)).toEqual(['k2'])
})

test('a run that was not marked does not go on where something else may be', () => {
  const texts = new OrderedTexts()
  texts.insert('a', 1)
  const run = new Run(() => texts, '')
  expect(run.next()).toBe(true)
  texts.insert('b', 2)
  expect(() => run.next()).toThrow('marked')
})

/** By runs, each of them extended to all that begins as it does, or with less. */
function count(texts: OrderedTexts, prefix: string): number {
  let count = 0
  const run = new Run(() => texts, prefix)
  while (run.next()) {
    const { beginning } = run
    count += run.to - run.from
    const shorter = beginning.slice(0, Math.max(prefix.length, beginning.length - 1))
    if (count % 2 === 0) count += run.extend(shorter)
  }
  return count
}

/** Whether what a block says of its texts is so. */
function describes({ texts, beginning, alphabet }: Block): boolean {
  const units = new Set(alphabet.units())
  return texts.every((text) => {
    const rest = text.slice(beginning.length).split('')
    const isMade = rest.every((each) => (each < '\x80' ? units.has(each.charCodeAt(0)) : alphabet.hasOthers))
    return text.startsWith(beginning) && isMade
  })
}

function read(texts: OrderedTexts, prefix: string): Item[] {
  const items: Item[] = []
  const page = new Page()
  let [text, handle] = [prefix, -1]
  for (;;) {
    texts.page(page, prefix, text, handle)
    if (page.texts.length === 0) return items
    for (const [i, each] of page.texts.entries()) items.push([each, page.handles[i]!])
    ;[text, handle] = items.at(-1)!
  }
}

function byTextAndHandle(a: Item, b: Item): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] - b[1]
}
