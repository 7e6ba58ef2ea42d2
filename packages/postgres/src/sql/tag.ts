import type { FieldDef } from 'pg'
import { SqlRowsError } from './errors.js'
import { type Fragment, fragment, identifier, type Statement, statementOf } from './template.js'

/** Anything that checks a value and says its type, e.g. a zod schema. */
export interface Schema<Row> {
  parse(value: unknown): Row
}

/** A tag of templates: `` sql.one`select … ${value}` ``. */
export type Tag<Result> = (strings: TemplateStringsArray, ...values: readonly unknown[]) => Promise<Result>

/** A column of an answer: its name and its type's OID. */
export interface AnswerColumn {
  readonly name: string
  readonly oid: number
}

/**
 * Reads PostgreSQL, and tells the fill what was read. `${value}` is always a parameter, never text; parameters are typed by the
 * server. All reject with SqlError (`TIDEMARK_SQL`), SourceDownError (`TIDEMARK_SOURCE_DOWN`), or the reason of the fill's signal.
 */
export interface Sql {
  /** The row, or null; SqlRowsError (`TIDEMARK_SQL_ROWS`) if there are several. The type is stated, or checked by a schema. */
  one<Row = Record<string, unknown>>(strings: TemplateStringsArray, ...values: readonly unknown[]): Promise<Row | null>
  one<Row>(schema: Schema<Row>): Tag<Row | null>
  /** All rows. */
  many<Row = Record<string, unknown>>(strings: TemplateStringsArray, ...values: readonly unknown[]): Promise<Row[]>
  many<Row>(schema: Schema<Row>): Tag<Row[]>
  /** The same for a text with `$1`, `$2` …; also says which columns there are. */
  query<Row = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ readonly rows: Row[]; readonly columns: readonly AnswerColumn[] }>
  /** The rows as PostgreSQL's text, column by column; null is NULL. */
  texts(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ readonly rows: readonly (readonly (string | null)[])[]; readonly columns: readonly AnswerColumn[] }>
  /** A piece of SQL for other templates: `` sql.fragment`and author_id = ${id}` ``. */
  fragment(strings: TemplateStringsArray, ...values: readonly unknown[]): Fragment
  /** A quoted name: `sql.identifier('public', 'posts')`. */
  identifier(...parts: readonly string[]): Fragment
}

/** Runs a statement; values of the answer are PostgreSQL's text. */
export type RunStatement = (
  text: string,
  values: readonly unknown[],
) => Promise<{ readonly fields: readonly FieldDef[]; readonly rows: readonly (readonly (string | null)[])[] }>

/** Which JavaScript value stands for a text of PostgreSQL, by type OID: as `pg.types`. */
export interface TypeParsers {
  getTypeParser(oid: number, format: 'text'): (text: string) => unknown
}

export function sqlOf(run: RunStatement, types: TypeParsers): Sql {
  return new SqlOfFill(run, types)
}

/** Each fill gets one: the functions are made when somebody takes them, and can be taken out of it. */
class SqlOfFill implements Sql {
  readonly #run: RunStatement
  readonly #types: TypeParsers

  constructor(run: RunStatement, types: TypeParsers) {
    this.#run = run
    this.#types = types
  }

  get one(): Sql['one'] {
    return tagged((statement, schema) => this.#one(statement, schema)) as Sql['one']
  }

  get many(): Sql['many'] {
    return tagged((statement, schema) => this.#rows(statement, schema)) as Sql['many']
  }

  get query(): Sql['query'] {
    return async <Row>(text: string, values: readonly unknown[] = []) => {
      const { fields, rows } = await this.#run(text, values)
      const parsers = this.#parsersOf(fields)
      return { rows: rows.map((row) => rowOf(fields, parsers, row) as Row), columns: columnsOf(fields) }
    }
  }

  get texts(): Sql['texts'] {
    return async (text, values = []) => {
      const { fields, rows } = await this.#run(text, values)
      return { rows, columns: columnsOf(fields) }
    }
  }

  get fragment(): Sql['fragment'] {
    return fragmentOf
  }

  get identifier(): Sql['identifier'] {
    return identifierOf
  }

  async #rows<Row>({ text, values }: Statement, schema: Schema<Row> | undefined): Promise<Row[]> {
    const { fields, rows } = await this.#run(text, values)
    const parsers = this.#parsersOf(fields)
    return rows.map((row) => checked(rowOf(fields, parsers, row), schema))
  }

  async #one<Row>(statement: Statement, schema: Schema<Row> | undefined): Promise<Row | null> {
    const rows = await this.#rows(statement, schema)
    if (rows.length > 1) {
      throw new SqlRowsError(
        `sql.one found ${rows.length} rows. Add a condition or LIMIT 1, or use sql.many: ${statement.text.trim().slice(0, 200)}`,
      )
    }
    return rows[0] ?? null
  }

  #parsersOf(fields: readonly FieldDef[]) {
    return fields.map(({ dataTypeID }) => this.#types.getTypeParser(dataTypeID, 'text'))
  }
}

const fragmentOf: Sql['fragment'] = (strings, ...values) => fragment(strings, values)
const identifierOf: Sql['identifier'] = (...parts) => identifier(parts)

export function columnsOf(fields: readonly FieldDef[]): AnswerColumn[] {
  return fields.map(({ name, dataTypeID }) => ({ name, oid: dataTypeID }))
}

/** A tag; or, called with a schema, what makes one. */
function tagged(read: (statement: Statement, schema: Schema<unknown> | undefined) => Promise<unknown>) {
  const tag =
    (schema: Schema<unknown> | undefined) =>
    (strings: readonly string[], ...values: readonly unknown[]): Promise<unknown> =>
      read(statementOf({ strings, values }), schema)
  return (first: TemplateStringsArray | Schema<unknown>, ...values: readonly unknown[]): unknown =>
    'raw' in first ? tag(undefined)(first, ...values) : tag(first)
}

function rowOf(
  fields: readonly FieldDef[],
  parsers: readonly ((text: string) => unknown)[],
  row: readonly (string | null)[],
): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  for (let i = 0; i < fields.length; i++) {
    const text = row[i] ?? null
    const value = text === null ? null : parsers[i]!(text)
    // A column may have any name, also this one.
    if (fields[i]!.name === '__proto__')
      Object.defineProperty(object, '__proto__', { value, enumerable: true, configurable: true, writable: true })
    else object[fields[i]!.name] = value
  }
  return object
}

function checked<Row>(row: unknown, schema: Schema<Row> | undefined): Row {
  if (!schema) return row as Row
  try {
    return schema.parse(row)
  } catch (error) {
    throw new SqlRowsError(
      'A row is not as its schema says, and the cause says where. Correct the schema or the statement.',
      { cause: error },
    )
  }
}
