import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { type Change, LimitError, type Target, type TargetChange } from 'tidemark'

/** Changes that are not rows enter the WAL under these prefixes. */
export const TARGET_PREFIX = 'tidemark/target'
/** The catalogue changed: content is its new fingerprint. */
export const DDL_PREFIX = 'tidemark/ddl'
/** Nothing changed; it only moves the log's end. */
export const HEARTBEAT_PREFIX = 'tidemark/heartbeat'

const VERSION = 1
const TARGETS_MAX = 100_000
const OWN_MAX = 10_000

/**
 * Writes and reads the messages of the log.
 *
 * Anybody who can connect to the database can write such a message. So ours carry an HMAC of the configured secret; what has none
 * that is valid, and was not written by this process, can only drop.
 */
export class Messages {
  readonly #secret: string | undefined
  /** Nonces that this process wrote and has not yet read again. */
  readonly #own = new Set<string>()
  /** The fingerprint that the last believed message about the catalogue named. */
  announcedCatalogue: string | undefined
  /** Messages under our prefixes that could not be read. */
  malformed = 0

  constructor(secret: string | undefined) {
    this.#secret = secret
  }

  /**
   * The content of a message, for pg_logical_emit_message.
   *
   * @throws LimitError (`TIDEMARK_LIMIT`) if it names more than 100,000 targets
   */
  target(change: TargetChange): string {
    if (change.targets.length > TARGETS_MAX) {
      throw new LimitError(
        `An invalidation names at most ${TARGETS_MAX} keys and tags. Split it, or name a tag that they share.`,
      )
    }
    return this.#seal(
      TARGET_PREFIX,
      { n: change.nonce, m: change.mode, t: change.targets.map(encodeTarget) },
      change.nonce,
    )
  }

  ddl(fingerprint: string): string {
    const nonce = randomUUID()
    return this.#seal(DDL_PREFIX, { n: nonce, f: fingerprint }, nonce)
  }

  /** What a message says; nothing if it is not ours or can't be read (counted). Never throws. */
  read(prefix: string, content: Buffer): readonly Change[] {
    if (prefix !== TARGET_PREFIX && prefix !== DDL_PREFIX) return []
    const opened = this.#open(prefix, content.toString('utf8'))
    const change = opened && this.#change(prefix, opened)
    if (change) return [change]
    this.malformed++
    return []
  }

  #change(prefix: string, opened: Opened): Change | undefined {
    // What a newer version says can't be known: it may concern everything.
    if (opened.version > VERSION) return { kind: 'everything', reason: 'a message of a newer version of Tidemark' }
    return prefix === TARGET_PREFIX ? this.#readTarget(opened) : this.#readDdl(opened)
  }

  #readTarget({ body, isBelieved }: Opened): Change | undefined {
    const { n: nonce, m: mode, t: targets } = body
    if (!Array.isArray(targets) || targets.length > TARGETS_MAX || (mode !== 'drop' && mode !== 'expire'))
      return undefined
    const decoded = targets.map(decodeTarget)
    if (!decoded.every((target) => target !== undefined)) return undefined
    const own = typeof nonce === 'string' ? { nonce } : {}
    return { kind: 'target', targets: decoded, mode: isBelieved ? mode : 'drop', ...own }
  }

  #readDdl({ body, isBelieved }: Opened): Change {
    if (isBelieved && typeof body.f === 'string') this.announcedCatalogue = body.f
    return { kind: 'everything', reason: 'the catalogue changed' }
  }

  #seal(prefix: string, body: Record<string, unknown>, nonce: string | undefined): string {
    if (nonce !== undefined) {
      // A message that never comes back (the log was lost meanwhile) must not stay for ever.
      if (this.#own.size >= OWN_MAX) for (const oldest of this.#own) if (this.#own.delete(oldest)) break
      this.#own.add(nonce)
    }
    // Message content is not converted between encodings: only ASCII is the same in all of them.
    const json = JSON.stringify({ v: VERSION, ...body }).replace(/[\u007f-\uffff]/g, escapeUnit)
    return `${this.#mac(prefix, json) ?? '-'} ${json}`
  }

  #open(prefix: string, content: string): Opened | undefined {
    const space = content.indexOf(' ')
    const json = content.slice(space + 1)
    const body = parseObject(json)
    const version = body?.v
    if (space < 1 || !body || typeof version !== 'number' || !(version >= VERSION)) return undefined
    const isOwn = typeof body.n === 'string' && this.#own.delete(body.n)
    return { body, version, isBelieved: isOwn || this.#isSealed(prefix, content.slice(0, space), json) }
  }

  #isSealed(prefix: string, mac: string, json: string): boolean {
    const expected = Buffer.from(this.#mac(prefix, json) ?? '')
    const given = Buffer.from(mac)
    return expected.length > 0 && expected.length === given.length && timingSafeEqual(expected, given)
  }

  #mac(prefix: string, json: string): string | undefined {
    return this.#secret === undefined
      ? undefined
      : createHmac('sha256', this.#secret).update(`${prefix}\0${json}`).digest('base64url')
  }
}

interface Opened {
  readonly body: Record<string, unknown>
  readonly version: number
  /** It carries a valid HMAC, or this process wrote it. */
  readonly isBelieved: boolean
}

function encodeTarget(target: Target): readonly string[] {
  return target.kind === 'key' ? ['k', target.tenant, target.key] : ['t', target.tenant, target.tag]
}

function decodeTarget(parts: unknown): Target | undefined {
  if (!Array.isArray(parts) || parts.length !== 3 || !parts.every((part) => typeof part === 'string')) return undefined
  const [kind, tenant, name] = parts as [string, string, string]
  if (kind === 'k') return { kind: 'key', tenant, key: name }
  return kind === 't' ? { kind: 'tag', tenant, tag: name } : undefined
}

function parseObject(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}
