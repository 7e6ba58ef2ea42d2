import type { Client } from 'pg'
import { expect, test } from 'vitest'
import { MessageBatch } from './message-batch.js'

// One that fails might leave a transaction open or those behind it waiting for ever; one might be flushed by nobody, or told too early.

/** A connection that serves one after the other, when it is told to. */
function line(fails: (text: string) => boolean = () => false) {
  const queries: string[] = []
  const client = {
    async query(text: string) {
      queries.push(text)
      if (fails(text)) throw new Error('refused')
    },
  } as unknown as Client
  let last: Promise<unknown> = Promise.resolve()
  const use = <Result>(run: (client: Client) => Promise<Result>): Promise<Result> => {
    const turn = last.then(() => run(client))
    last = turn.catch(() => {})
    return turn
  }
  return { queries, batch: new MessageBatch({ use }) }
}

const flushesOf = (text: string) => (text.match(/;commit/g)?.length ?? 0) - (text.match(/'off'/g)?.length ?? 0)

test('one goes by itself; those that come while another is written go together, each as a transaction, flushed once', async () => {
  const { queries, batch } = line()
  const ended: number[] = []
  await batch.write('p', 'first')
  const writing = Array.from({ length: 20 }, (_, i) => batch.write('p', `it's ${i}`).then(() => ended.push(i)))
  await Promise.all(writing)
  expect(ended).toEqual(Array.from({ length: 20 }, (_, i) => i))
  expect(queries).toHaveLength(2)
  expect(queries[0]).toContain('$1')
  expect(queries[1]!.match(/begin/g)).toHaveLength(20)
  expect(flushesOf(queries[1]!)).toBe(1)
  expect(queries[1]!.lastIndexOf("'off'")).toBeLessThan(queries[1]!.indexOf("it''s 19"))
})

test('many, and long ones, are parted', async () => {
  const { queries, batch } = line()
  const long = 'x'.repeat(400_000)
  await Promise.all([...Array(1_200).keys()].map((i) => batch.write('p', String(i))))
  expect(queries.map((text) => text.match(/begin/g)?.length)).toEqual([500, 500, 200])
  await Promise.all([batch.write('p', long), batch.write('p', long), batch.write('p', 'short')])
  expect(queries.slice(3).map((text) => text.match(/begin/g)?.length)).toEqual([undefined, 2])
})

test('where one is refused all of its batch reject, its transaction is closed, and the next batch is written', async () => {
  const { queries, batch } = line((text) => text.includes('bad'))
  const told = await Promise.allSettled(['good', 'bad', 'good'].map((each) => batch.write('p', each)))
  expect(told.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(queries.at(-1)).toBe('rollback')
  await Promise.all([batch.write('p', 'later'), batch.write('p', 'too')])
})

test('without a connection all that wait reject, and the next one tries again', async () => {
  let isDown = true
  const query = async () => {}
  const use = <Result>(run: (client: Client) => Promise<Result>): Promise<Result> =>
    isDown ? Promise.reject(new Error('down')) : run({ query } as unknown as Client)
  const batch = new MessageBatch({ use })
  const told = await Promise.allSettled([batch.write('p', 'a'), batch.write('p', 'b')])
  expect(told.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  isDown = false
  await batch.write('p', 'c')
})
