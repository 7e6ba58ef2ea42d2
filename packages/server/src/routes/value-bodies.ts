import { createHash } from 'node:crypto'
import type { Found } from 'tidemark'
import type { Representation } from '../resources/representation.js'
import { valueJson } from './value-json.js'

/** A value as it is sent. */
export interface ValueBody {
  /** JSON. */
  readonly text: string
  /** Its length in UTF-8. */
  readonly bytes: number
  /** 96 bits of SHA-256, in base64url. */
  readonly hash: string
}

/** What is larger is written anew for each answer: writing it out costs less than keeping it twice. */
const BODY_MAX_BYTES = 256 * 1_024
/** Of all that are kept; above that all are forgotten, and those that are asked for come back. */
const KEPT_MAX_BYTES = 32 * 2 ** 20

/**
 * The bodies of what is sent again and again, beside the values that they are written from: a body goes when its value goes. Values that
 * L1 shares are frozen, so what was written once stays right.
 */
export class ValueBodies {
  readonly #resources: ReadonlySet<string>
  #kept = new WeakMap<object, ValueBody>()
  #keptBytes = 0

  /** @param resources  names of the declared resources: what is stored under their keys is written already */
  constructor(resources: ReadonlySet<string>) {
    this.#resources = resources
  }

  of({ key, value }: Found): ValueBody {
    const isObject = typeof value === 'object' && value !== null
    const kept = isObject ? this.#kept.get(value) : undefined
    if (kept) return kept
    const text = this.resourceOf(key) !== undefined && isRepresentation(value) ? value.body : valueJson(value)
    const hash = createHash('sha256').update(text).digest('base64url').slice(0, 16)
    const body = { text, bytes: Buffer.byteLength(text), hash }
    if (isObject && Object.isFrozen(value) && body.bytes <= BODY_MAX_BYTES) this.#keep(value, body)
    return body
  }

  /** The declared resource whose key it is. */
  resourceOf(key: string): string | undefined {
    const open = key.indexOf('(')
    if (open < 1 || !key.endsWith(')')) return undefined
    const name = key.slice(0, open)
    return this.#resources.has(name) ? name : undefined
  }

  #keep(value: object, body: ValueBody): void {
    this.#keptBytes += body.bytes
    if (this.#keptBytes > KEPT_MAX_BYTES) {
      this.#kept = new WeakMap()
      this.#keptBytes = body.bytes
    }
    this.#kept.set(value, body)
  }
}

/** An application may have set something else under a resource's key. */
function isRepresentation(value: unknown): value is Representation {
  return typeof (value as Partial<Representation> | null | undefined)?.body === 'string'
}
