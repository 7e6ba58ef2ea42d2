import { expect, test } from 'vitest'
import { Judge } from '../judge.js'
import { mostAtOnce } from '../processes/loaders.js'
import { Session } from '../session.js'

// What judges the faults is itself shown to find what is wrong.

const KEY = 1
const read = (version: number, start: number, state = 'fresh') => [KEY, version, start, state, 'l1', start + 1]

test('an answer is stale if it began later than T after a version was acknowledged, and shows an older one', () => {
  const judge = new Judge()
  judge.acked([
    [KEY, 1, 100],
    [KEY, 2, 200],
  ])
  judge.read([read(1, 199), read(1, 250), read(1, 301), read(2, 301), read(1, 400, 'stale')], 0)
  expect(judge.judge({ staleMs: 100 })).toMatchObject({ reads: 5, stale: 1, examples: [{ start: 301, version: 1 }] })
  expect(judge.judge({ staleMs: 10 }).stale).toBe(2)
  expect(judge.judge({ staleMs: 10, from: 300 }).stale).toBe(1)
})

test('what is kept and differs from the database is found', () => {
  expect(new Judge().differing([[1, 5]], [[1, 5]])).toEqual([])
  expect(new Judge().differing([[1, 4]], [[1, 5]])).toEqual([[1, 4]])
})

test('a session that is answered with an older version than before went back', async () => {
  const session = new Session()
  const answer = (version: number, lsn: string) => async (key: number) =>
    key === 0 ? { value: { version }, state: 'fresh', shows: `e:0/${lsn}` } : undefined
  const round = async (version: number, lsn: string) => {
    for (let key = 0; key < 10; key++) await session.read(answer(version, lsn))
  }
  await round(5, '10')
  expect(session.asked).toEqual({ shows: true, minPosition: 'e:0/10' })
  await round(5, '9')
  expect(session.asked).toEqual({ shows: true, minPosition: 'e:0/10' })
  expect(session.report()).toMatchObject({ reads: 2, back: 0 })
  await round(4, '11')
  expect(session.report()).toMatchObject({ reads: 1, back: 1 })
})

test('loader runs that overlap are counted', () => {
  expect(mostAtOnce([])).toBe(0)
  expect(
    mostAtOnce([
      [0, 10],
      [10, 20],
    ]),
  ).toBe(1)
  expect(
    mostAtOnce([
      [0, 10],
      [9, 20],
      [9.5, 9.9],
    ]),
  ).toBe(3)
})
