import { createHash } from 'node:crypto'
import {
  type Answer,
  type Cache,
  type CallOptions,
  type Definition,
  type EntryOptions,
  type LoaderContext,
  SourceDownError,
  TidemarkError,
} from 'tidemark'
import { z } from 'zod'
import type { ResourceConfig } from '../config/config.js'
import { BrokenResourceError, type ConfigProblem, ParameterError, QueryError } from '../errors.js'
import { type Argument, isDeclarable, misfit, PARAMETER_TYPES } from './parameter-type.js'
import { REPRESENTATION_VERSION, type Representation, represent } from './representation.js'
import type { Description, ResourceContext, ResourceSource } from './source.js'

/** A resource with its arguments: one entry of the cache. */
export interface Bound {
  /** The entry's key. */
  readonly key: string
  ask(options?: CallOptions): Promise<Answer<Representation>>
  watch(signal: AbortSignal): AsyncIterableIterator<Answer<Representation>>
  /** Whether the value now lies in the cache. */
  isStored(): boolean
}

type ParametersSchema = z.ZodObject<
  Readonly<Record<string, z.ZodType<Argument | undefined, string | undefined>>>,
  z.core.$strict
>

/** What the database said of a resource's SQL. */
type Checked =
  | { readonly kind: 'unchecked' }
  | { readonly kind: 'ready'; readonly parameters: readonly number[] }
  | { readonly kind: 'broken'; readonly problem: ConfigProblem }

/** A declared resource: its SQL as a cached function of its parameters. */
export class Resource {
  readonly config: ResourceConfig
  /** Reads the parameters of a request. */
  readonly parameters: ParametersSchema
  readonly #cache: Cache<ResourceContext>
  readonly #definition: Definition<readonly Argument[], Representation>
  #checked: Checked = { kind: 'unchecked' }

  constructor(config: ResourceConfig, cache: Cache<ResourceContext>) {
    this.config = config
    this.parameters = parametersOf(config)
    this.#cache = cache
    const options: EntryOptions = {
      version: versionOf(config),
      ...(config.ttl === undefined ? {} : { ttl: config.ttl }),
      ...(config.grace === undefined ? {} : { grace: config.grace }),
    }
    this.#definition = cache.define(
      config.name,
      (context, ...args: readonly Argument[]) => this.#load(context, args),
      options,
    )
  }

  get checked(): Checked {
    return this.#checked
  }

  /**
   * Asks the database whether the SQL can be run.
   *
   * @returns what is wrong with it; nothing if all is well
   * @throws SourceDownError if it cannot be asked
   */
  async check(source: ResourceSource): Promise<readonly ConfigProblem[]> {
    const problems = await this.#problems(source)
    if (problems[0]) this.#checked = { kind: 'broken', problem: problems[0] }
    return problems
  }

  /** The entry for these parameters. @throws ParameterError if a value does not fit the type that the database sees. */
  bind(parameters: Readonly<Record<string, Argument>>): Bound {
    const args = this.config.order.map((name) => parameters[name] ?? this.#fallback(name))
    this.#refuseMisfits(args)
    const definition = this.#definition
    const key = definition.key(...args)
    return {
      key,
      ask: async (options = {}) => {
        this.#refuseBroken()
        return definition.with(options).ask(...args)
      },
      watch: (signal) => {
        this.#refuseBroken()
        return definition.with({ signal }).watchAnswers(...args)
      },
      isStored: () => this.#cache.explain(key).stored,
    }
  }

  async #problems(source: ResourceSource): Promise<readonly ConfigProblem[]> {
    let description: Description
    try {
      description = await source.describe(this.config.text)
    } catch (error) {
      return [this.#refusal(error)]
    }
    const problems = [...this.#typeProblems(description.parameters), ...this.#columnProblems(description)]
    if (problems.length === 0) this.#checked = { kind: 'ready', parameters: description.parameters }
    return problems
  }

  #refusal(error: unknown): ConfigProblem {
    if (!(error instanceof TidemarkError) || error instanceof SourceDownError) throw error
    const position = 'position' in error && typeof error.position === 'number' ? error.position - 1 : 0
    return { ...this.config.locate(position), path: `resources.${this.config.name}.sql`, message: error.message }
  }

  #typeProblems(oids: readonly number[]): ConfigProblem[] {
    return this.config.order.flatMap((name, index) => {
      const parameter = this.config.params.find((each) => each.name === name)!
      const oid = oids[index]
      if (oid === undefined || isDeclarable(parameter.type, oid)) return []
      const { line, column } = parameter
      const message = `is declared ${parameter.type}, but the SQL uses it as ${typeName(oid)}; declare it so, or write :${name}::${parameter.type} in the SQL`
      return [{ line, column, path: `resources.${this.config.name}.params.${name}`, message }]
    })
  }

  #columnProblems({ columns }: Description): ConfigProblem[] {
    const place = { ...this.config.locate(), path: `resources.${this.config.name}.sql` }
    if (columns.length === 0)
      return [{ ...place, message: 'answers with no columns; a resource is a query that returns rows' }]
    const twice = columns.find(({ name }, index) => columns.findIndex((other) => other.name === name) !== index)
    return twice
      ? [
          {
            ...place,
            message: `answers with two columns named ${JSON.stringify(twice.name)}; name one of them with AS`,
          },
        ]
      : []
  }

  async #load({ sql }: LoaderContext & ResourceContext, args: readonly Argument[]): Promise<Representation> {
    const result = await sql.texts(this.config.text, args).catch((error: unknown) => {
      throw this.#explained(error, args)
    })
    if (this.config.one && result.rows.length > 1) {
      throw new QueryError(
        `The resource ${this.config.name} answers with one row, but its SQL found ${result.rows.length}. Add a condition or LIMIT 1, or leave out \`one\`.`,
      )
    }
    return represent(result.columns, result.rows, this.config.one)
  }

  /** What a failed query means to the client. PostgreSQL's own words stay in `cause`: they may hold values. */
  #explained(cause: unknown, args: readonly Argument[]): unknown {
    const state = sqlState(cause)
    if (state === undefined) return cause
    if (state.startsWith('22') && args.length > 0) {
      return new ParameterError(
        [
          {
            parameter: this.config.order.join(', '),
            message: `PostgreSQL cannot use these values (SQLSTATE ${state})`,
          },
        ],
        { cause },
      )
    }
    const { name } = this.config
    if (state.startsWith('42')) {
      return new BrokenResourceError(
        `PostgreSQL refuses the SQL of the resource ${name} (SQLSTATE ${state}): a table, column or right that it needs is gone. See the server's log.`,
        { cause },
      )
    }
    return new QueryError(
      `The query of the resource ${name} failed (SQLSTATE ${state}). Ask again; if it repeats, see the server's log.`,
      { cause },
    )
  }

  #fallback(name: string): Argument {
    const { type, fallback } = this.config.params.find((each) => each.name === name)!
    return typeof fallback === 'string' ? PARAMETER_TYPES[type].schema.parse(fallback) : null
  }

  #refuseMisfits(args: readonly Argument[]): void {
    if (this.#checked.kind !== 'ready') return
    const { parameters } = this.#checked
    const problems = args.flatMap((value, index) => {
      const message = misfit(value, parameters[index])
      return message === undefined ? [] : [{ parameter: this.config.order[index]!, message }]
    })
    if (problems.length > 0) throw new ParameterError(problems)
  }

  #refuseBroken(): void {
    if (this.#checked.kind === 'broken') {
      throw new BrokenResourceError(
        `The resource ${this.config.name} cannot be read: ${this.#checked.problem.message}. Correct tidemark.yaml or the database; the server looks again by itself.`,
      )
    }
    if (this.#checked.kind === 'unchecked') {
      throw new SourceDownError(
        `The database has not been reached yet, so the resource ${this.config.name} cannot be read. Ask again in a moment; /health tells why.`,
      )
    }
  }
}

/** All that makes the answer what it is: the loader's text is the same for every resource. */
function versionOf({ text, order, params, one, ttl, grace }: ResourceConfig): string {
  const types = params.map(({ name, type }) => [name, type])
  const parts = JSON.stringify([REPRESENTATION_VERSION, text, order, types, one, ttl ?? null, grace ?? null])
  return createHash('sha256').update(parts).digest('base64url')
}

function parametersOf({ params }: ResourceConfig): ParametersSchema {
  const shape = params.map(
    ({ name, type, fallback }): [string, z.ZodType<Argument | undefined, string | undefined>] => {
      const { schema } = PARAMETER_TYPES[type]
      return [name, fallback === undefined ? schema : schema.optional()]
    },
  )
  return z.strictObject(Object.fromEntries(shape))
}

function sqlState(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  if ('sqlState' in error && typeof error.sqlState === 'string') return error.sqlState
  return undefined
}

const TYPE_NAMES: Readonly<Record<number, string>> = {
  16: 'boolean',
  17: 'bytea',
  20: 'bigint',
  21: 'smallint',
  23: 'integer',
  25: 'text',
  114: 'json',
  700: 'real',
  701: 'double precision',
  1042: 'text',
  1043: 'text',
  1082: 'date',
  1083: 'time',
  1114: 'timestamp',
  1184: 'timestamptz',
  1186: 'interval',
  1700: 'numeric',
  2950: 'uuid',
  3802: 'jsonb',
}

function typeName(oid: number): string {
  return TYPE_NAMES[oid] ?? `a type (OID ${oid}) for which parameters are declared text`
}
