import { createHash, createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { type Change, LimitError, readBy, type Target, type TargetChange } from 'tidemark'
import { changesOf, type DefinitionChanges, TABLES_MAX } from './definition-changes.js'
import type { Amendment, Definition } from './definitions.js'
import type { KnownDefinitions } from './known-definitions.js'

/** Changes that are not rows enter the WAL under these prefixes. */
export const TARGET_PREFIX = 'tidemark/target'
/** The catalogue changed: content is what that touches. */
export const DDL_PREFIX = 'tidemark/ddl'
/** Nothing changed; a place by which the log's history is known again. */
export const MARK_PREFIX = 'tidemark/mark'
/** Nothing changed; it only moves the log's end. */
export const HEARTBEAT_PREFIX = 'tidemark/heartbeat'

const VERSION = 1
/** Messages that name more than keys and tags: to a version that knows no others they may concern everything. */
const WIDE_VERSION = 2
/** Messages of version 1 about the catalogue do not say what they touch. */
const DDL_VERSION = 2
/** Those that event triggers write say how the objects are that a command touched. */
export const TOLD_VERSION = 3
/** So many states of the catalogue that others announced are remembered. */
const ANNOUNCED_MAX = 100
const TARGETS_MAX = 100_000
const OWN_MAX = 10_000
/** So many of its own messages a process knows again when the log delivers them once more. */
const READ_MAX = 50_000

type Hearing = Pick<KnownDefinitions, 'amend' | 'heard'>

/**
 * Writes and reads the messages of the log.
 *
 * Anybody who can connect to the database can write such a message. So ours carry an HMAC of the configured secret; what has none
 * that is valid, and was not written by this process, can only drop, and names nobody.
 */
export class Messages {
  readonly #secret: string | undefined
  /** Nonces that this process wrote and has not yet read again. */
  readonly #own = new Set<string>()
  /** Those that it has read: nonce → digest of what it said. A slot delivers again what was not acknowledged. */
  readonly #read = new Map<string, string>()
  /** Fingerprints of the catalogue from which believed messages told every change, and to which. */
  #announced = new Map<string, string>()
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
        `An invalidation names at most ${TARGETS_MAX} targets. Split it, or name a tag that they share.`,
      )
    }
    return this.#seal(
      TARGET_PREFIX,
      { n: change.nonce, m: change.mode, t: change.targets.map(encodeTarget), b: change.by },
      change.nonce,
      change.targets.every(({ kind }) => kind === 'key' || kind === 'tag') ? VERSION : WIDE_VERSION,
    )
  }

  /** The content of a message that tells every change between two states of the catalogue. */
  ddl(from: string, to: string, { tables, widened, everything }: DefinitionChanges): string {
    const nonce = randomUUID()
    const body = { n: nonce, b: from, f: to, t: [...tables], c: [...widened], e: everything }
    return this.#seal(DDL_PREFIX, body, nonce, DDL_VERSION)
  }

  /** Whether believed messages told every change between these states of the catalogue. */
  isAnnounced(from: string, to: string): boolean {
    let at: string | undefined = from
    for (let steps = 0; at !== undefined && steps < ANNOUNCED_MAX; steps++) {
      at = this.#announced.get(at)
      if (at === to) return true
    }
    return false
  }

  /** What a message says; nothing if it is not ours or can't be read (counted). Never throws. */
  read(prefix: string, content: Buffer, known: Hearing): readonly Change[] {
    if (prefix !== TARGET_PREFIX && prefix !== DDL_PREFIX) return []
    const opened = this.#open(prefix, content.toString('utf8'))
    if (opened && prefix === DDL_PREFIX) return this.#readDdl(opened, known)
    const change = opened && this.#readTarget(opened)
    if (change) return [change]
    this.malformed++
    return []
  }

  #readTarget({ body, version, isBelieved }: Opened): Change | undefined {
    // What a newer version says can't be known: it may concern everything, also what did not come from the source.
    if (version > WIDE_VERSION) return NEWER_TARGET
    const { n: nonce, m: mode, t: targets, b: said } = body
    if (!Array.isArray(targets) || targets.length > TARGETS_MAX || (mode !== 'drop' && mode !== 'expire'))
      return undefined
    const decoded = targets.map(decodeTarget)
    if (!decoded.every((target) => target !== undefined)) return undefined
    const own = typeof nonce === 'string' ? { nonce } : {}
    // Anybody may write a name into a message; only a believed one may carry it into a journal.
    const by = isBelieved ? readBy(said) : undefined
    return { kind: 'target', targets: decoded, mode: isBelieved ? mode : 'drop', ...own, ...(by && { by }) }
  }

  /**
   * What is not believed drops what it names too: that is never less than ignoring it. But it does not count as announced, so each
   * process still looks for itself what changed, and tells it.
   */
  #readDdl({ body, version, isBelieved }: Opened, known: Hearing): readonly Change[] {
    if (version > TOLD_VERSION) return [NEWER]
    if (version === TOLD_VERSION) {
      try {
        const amendment = amendmentOf(body)
        return amendment ? changesOf(known.amend(amendment)) : [UNKNOWN]
      } catch {
        // Anybody may write such a message, and anything into it.
        return [UNKNOWN]
      }
    }
    const { b: from, f: to, t: tables = [], c: widened = [], e: everything } = body
    if (version < DDL_VERSION || !isNames(tables) || !isNames(widened)) return [UNKNOWN]
    if (isBelieved && typeof from === 'string' && typeof to === 'string') {
      this.#announce(from, to)
      known.heard(to)
    }
    const reason = typeof everything === 'string' ? (isBelieved ? everything : UNKNOWN.reason) : undefined
    const changes = changesOf({ tables: new Set(tables), widened: new Set(widened), everything: reason })
    return changes.length > 0 ? changes : [RENEWAL]
  }

  #announce(from: string, to: string): void {
    this.#announced.delete(from)
    this.#announced.set(from, to)
    if (this.#announced.size > ANNOUNCED_MAX)
      for (const oldest of this.#announced.keys()) if (this.#announced.delete(oldest)) break
  }

  #seal(prefix: string, body: Record<string, unknown>, nonce: string | undefined, version = VERSION): string {
    if (nonce !== undefined) {
      // A message that never comes back (the log was lost meanwhile) must not stay for ever.
      if (this.#own.size >= OWN_MAX) for (const oldest of this.#own) if (this.#own.delete(oldest)) break
      this.#own.add(nonce)
    }
    // Message content is not converted between encodings: only ASCII is the same in all of them.
    const json = JSON.stringify({ v: version, ...body }).replace(/[\u007f-\uffff]/g, escapeUnit)
    return `${this.#mac(prefix, json) ?? '-'} ${json}`
  }

  #open(prefix: string, content: string): Opened | undefined {
    const space = content.indexOf(' ')
    const json = content.slice(space + 1)
    const body = parseObject(json)
    const version = body?.v
    if (space < 1 || !body || typeof version !== 'number' || !(version >= VERSION)) return undefined
    const isOwn = typeof body.n === 'string' && this.#isOwn(body.n, json)
    return { body, version, isBelieved: isOwn || this.#isSealed(prefix, content.slice(0, space), json) }
  }

  /** Whether this process wrote it; also when it comes again, but only word for word: somebody may have copied the nonce. */
  #isOwn(nonce: string, json: string): boolean {
    const digest = createHash('sha256').update(json).digest('base64url')
    if (!this.#own.delete(nonce)) return this.#read.get(nonce) === digest
    if (this.#read.size >= READ_MAX) for (const oldest of this.#read.keys()) if (this.#read.delete(oldest)) break
    this.#read.set(nonce, digest)
    return true
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

const UNKNOWN = { kind: 'everything', reason: 'the catalogue changed' } as const
const NEWER_TARGET: Change = { kind: 'target', targets: [{ kind: 'everything' }], mode: 'drop' }
const NEWER: Change = { kind: 'everything', reason: 'a message of a newer version of Tidemark' }

/** The catalogue changed in a way that touches no answer, but may the analyses. */
const RENEWAL: Change = { kind: 'target', targets: [], mode: 'drop' }

/** Whether a change comes with another catalogue. */
export function isOfCatalogue(change: Change): boolean {
  if (change.kind === 'table') return change.reason === 'ddl' || change.reason === 'columns-added'
  return change.kind === 'everything' || (change.kind === 'target' && change.targets.length === 0)
}

interface Opened {
  readonly body: Record<string, unknown>
  readonly version: number
  /** It carries a valid HMAC, or this process wrote it. */
  readonly isBelieved: boolean
}

function isNames(names: unknown): names is string[] {
  return Array.isArray(names) && names.length <= 2 * TABLES_MAX && names.every((name) => typeof name === 'string')
}

/** What an event trigger wrote; anybody may have written it. */
function amendmentOf({ d: definitions, g: gone }: Record<string, unknown>): Amendment | undefined {
  const isDefinition = (each: Definition): boolean =>
    typeof each === 'object' &&
    typeof each?.class === 'string' &&
    [each.name, each.def, each.quiet, each.xmin].every((text) => typeof text === 'string') &&
    typeof each.oid === 'number' &&
    typeof each.more === 'object' &&
    each.more !== null
  const isGone = (each: unknown): boolean =>
    Array.isArray(each) && typeof each[0] === 'string' && typeof each[1] === 'number'
  if (!Array.isArray(definitions) || !definitions.every(isDefinition)) return undefined
  return Array.isArray(gone) && gone.every(isGone) ? { definitions, gone } : undefined
}

function encodeTarget(target: Target): readonly string[] {
  switch (target.kind) {
    case 'key':
      return ['k', target.tenant, target.key]
    case 'tag':
      return ['t', target.tenant, target.tag]
    case 'pattern':
      return ['p', target.tenant, target.pattern, target.syntax]
    case 'tenant':
      return ['n', target.tenant]
    case 'everything':
      return ['e']
  }
}

function decodeTarget(parts: unknown): Target | undefined {
  if (!Array.isArray(parts) || !parts.every((part) => typeof part === 'string')) return undefined
  const [kind, tenant, name, syntax] = parts as [string, string, string, string]
  switch (`${kind}${parts.length}`) {
    case 'k3':
      return { kind: 'key', tenant, key: name }
    case 't3':
      return { kind: 'tag', tenant, tag: name }
    case 'p4':
      return syntax === 'glob' || syntax === 'regex' ? { kind: 'pattern', tenant, syntax, pattern: name } : undefined
    case 'n2':
      return { kind: 'tenant', tenant }
    case 'e1':
      return { kind: 'everything' }
    default:
      return undefined
  }
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
