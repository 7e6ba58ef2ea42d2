import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { Analyst } from '../src/sql/analyst.js'
import { describe } from '../src/sql/describe.js'
import { explainAnalysis } from '../src/sql/explain.js'

/** A database with a schema, that says in words what a query depends on. */
export class Explained {
  readonly client: pg.Client
  readonly #database: TestDatabase
  readonly #analyst = new Analyst(() => 1)

  private constructor(database: TestDatabase) {
    this.#database = database
    this.client = new pg.Client({ connectionString: database.url })
  }

  static async create(schema: string): Promise<Explained> {
    const explained = new Explained(await testDatabase())
    await explained.client.connect()
    await explained.client.query(schema)
    return explained
  }

  async reads(text: string): Promise<string[]> {
    const { analysis } = await this.#analyst.analyse(text, '', {
      ask: async (query, values) => (await this.client.query({ text: query, values, rowMode: 'array' })).rows[0]![0],
      describe: (query) => describe((each) => this.client.query(each as pg.Query), query),
    })
    return explainAnalysis(analysis)
  }

  async drop(): Promise<void> {
    await this.client.end()
    await this.#database.drop()
  }
}
