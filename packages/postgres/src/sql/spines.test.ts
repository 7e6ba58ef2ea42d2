import { expect, test } from 'vitest'
import { SPINE_MAX } from './spine.js'
import { Spines } from './spines.js'

// A question about rows reads them once more: it must not be asked again and again where its answer is of no use.

async function questionsOf(fills: number, rows: () => number): Promise<number> {
  const asked = { text: 'select …', parameters: [] }
  let questions = 0
  for (let fill = 0; fill < fills; fill++) {
    await new Spines([]).ask(asked, async () => {
      questions++
      return JSON.stringify(Array.from({ length: rows() }, (_, i) => [String(i)]))
    })
  }
  return questions
}

test('the rows of an answer are asked for at each fill', async () => {
  expect(await questionsOf(40, () => 3)).toBe(40)
})

test('those of an answer of too many rows at one fill in sixteen', async () => {
  expect(await questionsOf(49, () => SPINE_MAX + 1)).toBe(4)
})

test('they are asked for again once they are few', async () => {
  let rows = SPINE_MAX + 1
  const counted = questionsOf(40, () => {
    const now = rows
    rows = 3
    return now
  })
  expect(await counted).toBe(1 + (40 - 16))
})
