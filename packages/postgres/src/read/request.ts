import type { FieldDef } from 'pg'
import type { Answered } from '../sql/answered.js'

export type Callback = (error: unknown, result?: unknown) => void

/** What a call of `client.query` asks for. */
export type Request = Asked | Submitted

/** A query that answers with its rows, by callback or promise. */
export interface Asked {
  readonly kind: 'asked'
  /** undefined for a statement that was prepared earlier under `name`. */
  readonly text: string | undefined
  readonly name: string | undefined
  readonly values: readonly unknown[]
  readonly callback: Callback | undefined
  /** The arguments without the callback. */
  readonly args: readonly unknown[]
}

/** A query that runs itself (a cursor, a stream, `pg.Query`): its rows go past us. */
export interface Submitted {
  readonly kind: 'submitted'
  /** undefined where it does not show what it runs. */
  readonly text: string | undefined
  readonly values: readonly unknown[]
  readonly query: Submittable
  readonly args: readonly unknown[]
}

interface Submittable {
  submit(connection: unknown): void
  handleError(error: unknown, connection: unknown): void
  readonly text?: unknown
  readonly values?: unknown
  /** What pg-query-stream reads from. */
  readonly cursor?: Submittable
  close?: (...args: unknown[]) => unknown
}

/** The forms in which `pg` takes a query. */
export function requestOf(args: readonly unknown[]): Request {
  const [config, second, third] = args
  const given = Array.isArray(second) ? second : undefined
  if (isSubmittable(config)) return submittedOf(config, args)
  const callback = [second, third].find((each) => typeof each === 'function') as Callback | undefined
  const rest = args.filter((each) => each !== callback)
  if (typeof config === 'string')
    return { kind: 'asked', text: config, name: undefined, values: given ?? [], callback, args: rest }
  const { text, name, values, callback: own } = (config ?? {}) as Partial<Asked> & { values?: unknown[] }
  return {
    kind: 'asked',
    text,
    name,
    values: given ?? values ?? [],
    callback: callback ?? own,
    args: own ? [{ ...(config as object), callback: undefined }, given] : rest,
  }
}

/** Says whether a cursor or stream was closed while it waited to be submitted: then nobody would ever end what it opens. */
export function watchClosed({ query }: Submitted): () => boolean {
  const cursor = query.cursor ?? query
  const { close } = cursor
  let isClosed = false
  if (typeof close === 'function') {
    cursor.close = (...args) => {
      isClosed = true
      return close.apply(cursor, args)
    }
  }
  return () => isClosed
}

/** What the driver's result tells of the answer's rows; undefined for the results of several statements. */
export function answeredOf(result: unknown): Answered | undefined {
  const { fields, rows } = result as { fields?: FieldDef[]; rows?: unknown[] }
  if (!fields || !rows) return undefined
  // Of columns of one name an object has only the last.
  const isHidden = fields.map(({ name }, index) => fields.findLastIndex((other) => other.name === name) !== index)
  return {
    fields,
    rowCount: rows.length,
    cell(row, field) {
      const own = rows[row]
      if (Array.isArray(own)) return own[field]
      return isHidden[field] ? undefined : (own as Record<string, unknown>)[fields[field]!.name]
    },
  }
}

function isSubmittable(config: unknown): config is Submittable {
  return typeof config === 'object' && config !== null && 'submit' in config && typeof config.submit === 'function'
}

function submittedOf(query: Submittable, args: readonly unknown[]): Submitted {
  const { text, values } = query.cursor ?? query
  return {
    kind: 'submitted',
    text: typeof text === 'string' ? text : undefined,
    values: Array.isArray(values) ? values : [],
    query,
    args,
  }
}
