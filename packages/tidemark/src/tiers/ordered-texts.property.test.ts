import fc from 'fast-check'
import { expect, test } from 'vitest'
import { OrderedTexts, Page } from './ordered-texts.js'

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
        expect(texts.count(prefix)).toBe(expected.length)
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
