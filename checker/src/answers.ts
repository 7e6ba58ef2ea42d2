import pg from 'pg'
import type { Statement } from './fragment.js'

/** The rows of an answer as one text: as they come if the query orders them all, else sorted. */
export type AnswerText = string

export type Rows = readonly (readonly (string | null)[])[]

export function answerText(rows: Rows, isOrdered: boolean): AnswerText {
  const lines = rows.map((row) => JSON.stringify(row))
  return (isOrdered ? lines : lines.sort()).join('\n')
}

/** What a query that fails answers. */
export function errorText(error: unknown): AnswerText {
  const { code, message } = error as pg.DatabaseError
  return `error ${code ?? message}`
}

export function isErrorText(text: AnswerText): boolean {
  return text.startsWith('error ')
}

interface Prepared extends Statement {
  readonly isOrdered: boolean
}

const RAW = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig

/** Asks the database itself, past the cache: many queries in one round trip. */
export class FreshAnswers {
  readonly #client: pg.Client
  readonly #queries: readonly Prepared[]
  readonly #prepared = new Set<number>()

  constructor(client: pg.Client, queries: readonly Prepared[]) {
    this.#client = client
    this.#queries = queries
  }

  async of(indexes: readonly number[]): Promise<Map<number, AnswerText>> {
    const answers = new Map<number, AnswerText>()
    const ready: number[] = []
    for (const index of indexes) {
      const failed = await this.#prepare(index)
      if (failed === undefined) ready.push(index)
      else answers.set(index, failed)
    }
    if (ready.length === 0) return answers
    try {
      const results = await this.#run(ready.map((index) => this.#execute(index)).join(';'))
      for (const [place, index] of ready.entries()) answers.set(index, this.#text(index, results[place]!))
    } catch {
      // One of them failed, and with it all: each by itself.
      for (const index of ready) answers.set(index, await this.#alone(index))
    }
    return answers
  }

  async #prepare(index: number): Promise<AnswerText | undefined> {
    if (this.#prepared.has(index)) return undefined
    try {
      await this.#run(`prepare q${index} as ${this.#queries[index]!.text}`)
      this.#prepared.add(index)
      return undefined
    } catch (error) {
      return errorText(error)
    }
  }

  /** A plan may be of before a change of definitions: prepared anew. */
  async #alone(index: number): Promise<AnswerText> {
    await this.#run(`deallocate q${index}`)
    this.#prepared.delete(index)
    const failed = await this.#prepare(index)
    if (failed !== undefined) return failed
    try {
      return this.#text(index, (await this.#run(this.#execute(index)))[0]!)
    } catch (error) {
      return errorText(error)
    }
  }

  #execute(index: number): string {
    const { values } = this.#queries[index]!
    return `execute q${index}${values.length > 0 ? `(${values.map(literalOf).join(', ')})` : ''}`
  }

  #text(index: number, { rows }: pg.QueryArrayResult): AnswerText {
    return answerText(rows as unknown as Rows, this.#queries[index]!.isOrdered)
  }

  async #run(text: string): Promise<pg.QueryArrayResult[]> {
    const result: unknown = await this.#client.query({ text, rowMode: 'array', types: RAW })
    return (Array.isArray(result) ? result : [result]) as pg.QueryArrayResult[]
  }
}

/** Not in the types of `pg`. */
const { prepareValue } = (pg as unknown as { utils: { prepareValue(value: unknown): unknown } }).utils

/** A parameter's value as `pg` sends it, written as a literal. */
function literalOf(value: unknown): string {
  const wire = prepareValue(value)
  return wire === null || wire === undefined ? 'null' : pg.escapeLiteral(String(wire))
}
