import { readFileSync } from 'node:fs'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { SelfCheck } from '../../src/read/self-check.js'
import { askTouched } from '../../src/read/touched.js'
import type { Analysis } from '../../src/sql/analyse.js'
import { Analyst } from '../../src/sql/analyst.js'
import { describe } from '../../src/sql/describe.js'
import { World } from '../opened.js'
import { drizzleQueries, openDrizzle } from './drizzle.js'
import { kyselyQueries, openKysely } from './kysely.js'
import { openPrisma, prismaQueries } from './prisma.js'
import { Recording } from './recording.js'
import { type CorpusQuery, SCHEMA } from './schema.js'

let world: World
let client: pg.Client

beforeAll(async () => {
  world = await World.create(SCHEMA)
  client = new pg.Client({ connectionString: world.database.url })
  client.on('error', () => {})
  await client.connect()
})
afterAll(async () => {
  await client?.end()
  await world?.drop()
})

const CORPORA: Record<string, (pool: pg.Pool) => readonly CorpusQuery[]> = {
  Drizzle: (pool) => drizzleQueries(openDrizzle(pool)),
  Kysely: (pool) => kyselyQueries(openKysely(pool)),
  Prisma: (pool) => prismaQueries(openPrisma(pool)),
}

const analyst = new Analyst(() => 1)
const server = {
  ask: async (text: string, values: unknown[]) =>
    (await client.query({ text, values, rowMode: 'array' })).rows[0]![0] as string,
  describe: (text: string) => describe((query) => client.query(query as never), text),
}

/** Why tables are followed as a whole though the statement does not read all of them. */
function wider({ rows, tables }: Analysis): string[] {
  return [
    ...rows.flatMap(({ ways, relation }) => (typeof ways === 'string' ? [`${ways} ${relation.table}`] : [])),
    ...tables.flatMap(({ reason, relation }) => (reason ? [`${reason} ${relation.table}`] : [])),
  ]
}

it.each(Object.keys(CORPORA))(
  'what %s writes is understood: its tables are those that PostgreSQL opens',
  async (orm) => {
    const recording = new Recording(world.database.url)
    const statements = await recording.statements(CORPORA[orm]!(recording.pool))
    await recording.pool.end()
    const reasons = new Map<string, number>()
    let exact = 0
    for (const { query, text, values } of statements) {
      const { analysis } = await analyst.analyse(text, orm, server)
      expect(analysis.isRead, `${query}: ${text}`).toBe(true)
      const missing = await opened(text, values, analysis)
      expect(missing, `${query}: ${text}`).toEqual([])
      const found = wider(analysis)
      if (found.length === 0) exact++
      for (const reason of new Set(found.map((each) => each.split(' ')[0]!)))
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    }
    const share = Math.floor((100 * exact) / statements.length)
    const line = `| ${orm} | ${statements.length} | ${share} % |`
    const told = [...reasons].map(([reason, count]) => `\`${reason}\` ${count}`).join(', ')
    process.stdout.write(`${line} ${told} |\n`)
    const [, stated, bound] =
      new RegExp(`\\| ${orm} \\| (\\d+) \\| (\\d+) % \\|`).exec(readFileSync('docs/orms.md', 'utf8')) ?? []
    expect(Number(stated), 'docs/orms.md states how many statements there are').toBe(statements.length)
    // The share may be better than stated, so that the analysis can be improved without the docs.
    expect(share, 'docs/orms.md states a share that is reached').toBeGreaterThanOrEqual(Number(bound))
  },
)

/** What PostgreSQL opens for the statement, and its analysis does not name. */
async function opened(text: string, values: readonly unknown[], analysis: Analysis): Promise<string[]> {
  await client.query('begin')
  try {
    await client.query({ text, values: [...values] })
    return new SelfCheck('always').judge(text, analysis, await askTouched(server.ask)).map(({ table }) => table)
  } finally {
    await client.query('rollback')
  }
}
