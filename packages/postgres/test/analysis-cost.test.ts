import { testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { expect, it } from 'vitest'
import { type Ask, loadFacts } from '../src/sql/catalogue.js'
import { mentionsOf } from '../src/sql/mentions.js'
import { loadParser, parseSql } from '../src/sql/parse.js'

// Above jit_above_cost PostgreSQL compiles the query that asks for facts, which takes 90 ms for each new text.
it('what an analysis asks the server costs too little to be compiled', async () => {
  await loadParser()
  const database = await testDatabase()
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await client.query(`create table posts (id int primary key, title text); create view live as select * from posts;
    create function titled(text) returns setof posts language sql stable as 'select * from posts where title = $1'`)
  const costs: number[] = []
  const ask: Ask = async (text, values) => {
    const { rows } = await client.query({ text: `explain (format json) ${text}`, values })
    costs.push(rows[0]['QUERY PLAN'][0].Plan['Total Cost'])
    return (await client.query({ text, values, rowMode: 'array' })).rows[0]![0]
  }
  const parsed = parseSql(
    'select count(*), lower(p.title) from posts p join live l using (id) join titled($2) t using (id) where p.id > $1 group by 2',
  )
  if ('tooDeep' in parsed) throw new Error('not parsed')
  const mentions = mentionsOf(parsed.statements)
  await loadFacts(ask, { names: mentions.relations, mentions: [mentions] })
  const { rows } = await client.query("select setting::float8 from pg_settings where name = 'jit_above_cost'")
  expect(costs).toHaveLength(1)
  for (const cost of costs) expect(cost).toBeLessThan(rows[0].setting / 2)
  await client.end()
  await database.drop()
})
