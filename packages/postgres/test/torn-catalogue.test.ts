import { testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Analyst } from '../src/sql/analyst.js'
import { describe } from '../src/sql/describe.js'
import { explainAnalysis } from '../src/sql/explain.js'

/*
 * A migration puts another table under a name between two questions of an analysis: then one of them knows no table of that name.
 */

let database: Awaited<ReturnType<typeof testDatabase>>
let client: pg.Client

beforeAll(async () => {
  database = await testDatabase()
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await client.query('create table posts (id int primary key, v int); create table authors (id int primary key)')
})
afterAll(async () => {
  await client?.end()
  await database?.drop()
})

/** The analysis of a join, where the first answers do not have one of its tables. */
async function analysed(torn: number): Promise<readonly string[]> {
  let left = torn
  const { analysis } = await new Analyst(() => 1).analyse(
    'with p as (select * from posts where id = $1) select * from p join authors a on a.id = p.v',
    '',
    {
      async ask(text, values) {
        const answer = (await client.query({ text, values, rowMode: 'array' })).rows[0]![0] as string
        if (left-- <= 0) return answer
        const facts = JSON.parse(answer)
        facts.read.relations = facts.read.relations.filter(
          ({ names }: { names: string[] }) => !names.includes('"posts"'),
        )
        return JSON.stringify(facts)
      },
      describe: (text) => describe((each) => client.query(each as pg.Query), text),
    },
  )
  return explainAnalysis(analysis)
}

it('asks again, so that no table is left out', async () => {
  const whole = [
    'rows of public.posts where id = $1',
    'rows of public.authors where id in (v of public.posts where id = $1)',
  ]
  expect(await analysed(0)).toEqual(whole)
  expect(await analysed(1)).toEqual(whole)
})

it('keeps nothing where the catalogue does not come to rest', async () => {
  expect(await analysed(10)).toEqual(['not kept: not-understood'])
})
