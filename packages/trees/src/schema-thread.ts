import { Worker } from 'node:worker_threads'
import { TreeLimitError, TreeSchemaError, TreeValueError } from './errors.js'

/** What a tree is, seen by its schema. */
type Verdict =
  | { readonly kind: 'right' }
  | { readonly kind: 'wrong'; readonly problems: readonly { readonly path: string; readonly message: string }[] }
  | { readonly kind: 'no-schema'; readonly message: string }
  /** The schema refers to itself on and on, at the same node. */
  | { readonly kind: 'endless' }

interface Question {
  readonly tenant: string
  readonly schema: string
  readonly json: string | undefined
  readonly maxMs: number
  readonly answer: (verdict: Verdict) => void
  readonly fail: (error: Error) => void
}

/** The same beside the sources as beside the build. */
const CODE = new URL('../worker/schema.js', import.meta.url)
/** Many times what the largest document takes; a schema may find millions of things wrong with it. */
const MEMORY_MAX_MB = 256

/**
 * Compares trees with JSON Schemas in a thread of its own, one after the other: tenants alternate, so that whoever asks waits for one question of
 * each other tenant at most, however many these ask. What a schema asks for may grow without bound with a few of its
 * words (`anyOf` of references to `anyOf`s), or with the square of the tree (`uniqueItems`), and nobody else is to wait for that. The thread that
 * takes too long, or too much memory, is ended; the next question starts another.
 */
class SchemaThread {
  /** By tenant, whose turn it is first. */
  readonly #waiting = new Map<string, Question[]>()
  #worker: Worker | undefined
  /** It has loaded its code, which counts for no question. */
  #isReady = false
  #asked: Question | undefined
  #timer: NodeJS.Timeout | undefined

  ask(tenant: string, schema: string, json: string | undefined, maxMs: number): Promise<Verdict> {
    return new Promise((answer, fail) => {
      const question = { tenant, schema, json, maxMs, answer, fail }
      const own = this.#waiting.get(tenant)
      if (own) own.push(question)
      else this.#waiting.set(tenant, [question])
      this.#next()
    })
  }

  #next(): void {
    if (this.#asked) return
    const question = this.#take()
    if (!question) return
    this.#asked = question
    const worker = this.#thread()
    worker.ref()
    if (this.#isReady) this.#put(worker, question)
  }

  #take(): Question | undefined {
    const [first] = this.#waiting
    if (!first) return undefined
    const [tenant, own] = first
    const question = own.shift()
    if (own.length === 0) this.#waiting.delete(tenant)
    return question
  }

  #put(worker: Worker, { schema, json, maxMs }: Question): void {
    this.#timer = setTimeout(() => {
      this.#giveUp(worker, tooMuch(`longer than ${maxMs} ms (schemaMaxMs)`))
    }, maxMs)
    worker.postMessage({ schema, json })
  }

  #thread(): Worker {
    if (this.#worker) return this.#worker
    const worker = new Worker(CODE, { resourceLimits: { maxOldGenerationSizeMb: MEMORY_MAX_MB } })
    worker.on('message', (verdict: Verdict | 'ready') => {
      if (this.#worker !== worker) return
      if (verdict === 'ready') {
        this.#isReady = true
        if (this.#asked) this.#put(worker, this.#asked)
        return
      }
      // At rest it keeps no process alive.
      worker.unref()
      this.#ended()?.answer(verdict)
      this.#next()
    })
    worker.on('error', (error: NodeJS.ErrnoException) => {
      this.#giveUp(worker, error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? tooMuch('more memory than it may have') : error)
    })
    this.#worker = worker
    return worker
  }

  #giveUp(worker: Worker, reason: Error): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    this.#isReady = false
    void worker.terminate()
    this.#ended()?.fail(reason)
    this.#next()
  }

  #ended(): Question | undefined {
    const question = this.#asked
    this.#asked = undefined
    clearTimeout(this.#timer)
    const others = question && this.#waiting.get(question.tenant)
    if (others) {
      this.#waiting.delete(question.tenant)
      this.#waiting.set(question.tenant, others)
    }
    return question
  }
}

const thread = new SchemaThread()

/**
 * Compares a tree with a JSON Schema (2020-12).
 *
 * @param tenant  whose it is: what several ask is answered in turns
 * @param schema  JSON's text
 * @param json    the tree's; undefined: whether the schema is one is all that is asked
 * @throws TreeSchemaError (`TIDEMARK_TREE_SCHEMA`) that names the nodes that are wrong; TreeValueError (`TIDEMARK_TREE_VALUE`) if the schema is
 *         none; TreeLimitError (`TIDEMARK_TREE_LIMIT`) if it asks for more than may be done
 */
export async function checkSchema(
  tenant: string,
  schema: string,
  json: string | undefined,
  maxMs: number,
): Promise<void> {
  const verdict = await thread.ask(tenant, schema, json, maxMs)
  switch (verdict.kind) {
    case 'right':
      return
    case 'wrong':
      throw wrong(verdict.problems)
    case 'no-schema':
      throw new TreeValueError(`The schema is no JSON Schema (2020-12). ${verdict.message}`)
    case 'endless':
      throw new TreeLimitError('The schema leads on to itself, or down, without an end.')
    default:
      verdict satisfies never
  }
}

function wrong(problems: readonly { readonly path: string; readonly message: string }[]): TreeSchemaError {
  const [first] = problems
  const more = problems.length > 1 ? `, and ${problems.length - 1} more` : ''
  return new TreeSchemaError(
    `The config would not be what its schema says: "${first?.path ?? ''}" ${first?.message ?? 'is wrong'}${more}.`,
    problems,
  )
}

function tooMuch(what: string): TreeLimitError {
  return new TreeLimitError(`To compare the config with its schema takes ${what}. Make the schema simpler.`)
}
