import { createHash } from 'node:crypto'
import type { JournalRecord } from './record.js'

/** The last record of a chain. */
export interface Head {
  readonly seq: number
  readonly hash: string
}

/** Before the first record of a chain. */
export const ORIGIN: Head = { seq: 0, hash: '' }

const VERSION = 1

/**
 * The hash of a record that follows another: SHA-256 over the hash before it and every field, in hex. Whoever changes, removes, adds or
 * moves a record changes the hash of every later one.
 */
export function hashOf(before: string, record: JournalRecord): string {
  return createHash('sha256')
    .update(`${before}\n${textOf(record)}`)
    .digest('hex')
}

/** Every field, in a form that no other record has. */
function textOf(record: JournalRecord): string {
  const { id, log, chain, seq, tenant, origin, epoch, lsn, n, process, at, created, month } = record
  const { pattern, keys, tags, tables, mode, actor, requestId, cause, latencyMs, detail } = record
  const place = [id, log, chain, seq, month, tenant, origin, epoch, lsn, n, process, at, created]
  const what = [pattern, keys, tags, tables, mode, actor, requestId, cause, latencyMs, detail]
  return JSON.stringify([VERSION, ...place, ...what])
}

/** What is wrong with a chain, and at which record. */
export interface ChainProblem {
  readonly chain: string
  readonly seq: number
  /**
   * missing: records before it are gone. changed: it, or one before it, is not as it was written. cut: the last ones are gone. rewritten:
   * it is not the one whose hash was signed. start: the chain does not begin where it was signed that it does. head: the table of heads says
   * otherwise.
   */
  readonly kind: 'missing' | 'changed' | 'cut' | 'rewritten' | 'start' | 'head'
  readonly detail: string
}

export interface CheckedRecord {
  readonly record: JournalRecord
  /** As it stands in the journal. */
  readonly hash: string
}

/** Where older records were removed on purpose: the last one of them. */
export interface Signed {
  /** Heads that were signed, in any order. */
  readonly heads: readonly Head[]
  readonly anchors: readonly Head[]
}

/** So many problems of one chain are told. */
const PROBLEMS_MAX = 20

/**
 * Checks one chain: give it the records in order of `seq`, then `end`.
 *
 * The hashes alone show what somebody changed who did not hash anew; the signed heads show the rest: records that were cut off at the end, and
 * a chain that was written anew with hashes that fit.
 */
export class ChainCheck {
  readonly #chain: string
  /** One hash each, unless the chain was cut and went on from there. */
  readonly #signed = new Map<number, Set<string>>()
  readonly #signedTo: number
  readonly #anchors: readonly Head[]
  readonly problems: ChainProblem[] = []
  #last: Head | undefined
  #count = 0

  constructor(chain: string, { heads, anchors }: Signed) {
    this.#chain = chain
    for (const { seq, hash } of heads) this.#signed.set(seq, (this.#signed.get(seq) ?? new Set()).add(hash))
    this.#signedTo = heads.reduce((most, { seq }) => Math.max(most, seq), 0)
    this.#anchors = anchors
  }

  get count(): number {
    return this.#count
  }

  add({ record, hash }: CheckedRecord): void {
    const before = this.#last ?? this.#start(record)
    if (record.seq !== before.seq + 1) {
      const said =
        record.seq <= before.seq ? 'is there twice' : `follows record ${before.seq}: what lay between is gone`
      this.#tell(record.seq, 'missing', `Record ${record.seq} ${said}.`)
    } else if (before.hash !== undefined && hashOf(before.hash, record) !== hash) {
      this.#tell(record.seq, 'changed', `Record ${record.seq} (id ${record.id}) is not as it was written.`)
    }
    const signed = this.#signed.get(record.seq)
    if (signed && (signed.size > 1 || !signed.has(hash)))
      this.#tell(record.seq, 'rewritten', `Record ${record.seq} (id ${record.id}) is not the one that was signed.`)
    this.#last = { seq: record.seq, hash }
    this.#count++
  }

  /** @param head  what the journal itself says is the chain's last record */
  end(head: Head | undefined): readonly ChainProblem[] {
    const last = this.#last
    // All of them may have been removed on purpose.
    const seq = last?.seq ?? this.#anchors.reduce((most, anchor) => Math.max(most, anchor.seq), 0)
    if (this.#signedTo > seq) {
      const gone = this.#signedTo - seq
      this.#tell(seq, 'cut', `The chain ends at record ${seq}, but ${this.#signedTo} was signed: ${gone} are gone.`)
    }
    if (last && (head?.seq !== last.seq || head.hash !== last.hash))
      this.#tell(last.seq, 'head', `The table of heads does not name record ${last.seq} as the last.`)
    if (!last && head && head.seq > seq)
      this.#tell(seq, 'cut', `The table of heads names record ${head.seq} as the last, but the chain ends at ${seq}.`)
    return this.problems
  }

  #start({ seq }: JournalRecord): { readonly seq: number; readonly hash: string | undefined } {
    if (seq === 1) return ORIGIN
    const anchor = this.#anchors.find((each) => each.seq === seq - 1)
    if (anchor) return anchor
    this.#tell(
      seq,
      'start',
      `The chain begins at record ${seq}, and nothing shows that older ones were removed on purpose.`,
    )
    return { seq: seq - 1, hash: undefined }
  }

  #tell(seq: number, kind: ChainProblem['kind'], detail: string): void {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push({ chain: this.#chain, seq, kind, detail })
  }
}
