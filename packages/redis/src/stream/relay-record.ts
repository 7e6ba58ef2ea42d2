import type { Change, RelayRecord } from 'tidemark'
import { type CommitBody, decodeCommit, encodeCommit, parseObject } from './changes.js'

const BODY_MAX = 4 * 2 ** 20

/** The text of a record; a commit that is too large is relayed as the tables that it touched. */
export function encodeRelayRecord(record: RelayRecord): string {
  const text = textOf(record)
  if (text.length <= BODY_MAX || !record.commit) return text
  const coarse = textOf({ ...record, commit: { ...record.commit, changes: tablesOf(record.commit.changes) } })
  if (coarse.length <= BODY_MAX) return coarse
  // So many keys and tags that no record takes them: from here on nothing can be told, and who reads on finds the gap.
  return textOf({ ...record, from: record.to, commit: undefined })
}

function textOf({ epoch, name, from, to, commit, proven }: RelayRecord): string {
  const place = { e: epoch, n: name, f: from, t: to, p: proven, k: commit !== undefined }
  // Not spread together, which takes four times as long as all the rest.
  return JSON.stringify(Object.assign(encodeCommit(commit ?? NOTHING), place))
}

const NOTHING: CommitBody = { xid: undefined, committedAt: 0, changes: [] }

/**
 * Reads what `encodeRelayRecord` wrote, of this version or another. Which log a record is of, where it stands and which transaction it
 * tells of (`e`, `n`, `f`, `t`, `p`, `k`, `x`) means the same in every version. Changes that can't be read concern everything.
 *
 * @returns `unreadable` for a record of another version that does not even say where it stands; undefined for what is none of ours
 */
export function decodeRelayRecord(text: string): RelayRecord | 'unreadable' | undefined {
  const body = parseObject(text)
  if (!body || !Number.isSafeInteger(body.v)) return undefined
  return recordOf(body) ?? 'unreadable'
}

function recordOf(body: Readonly<Record<string, unknown>>): RelayRecord | undefined {
  const commit = decodeCommit(body) ?? everythingOf(body)
  if (!commit) return undefined
  const { e: epoch, n: name, f: from, t: to, p: proven, k: hasCommit } = body
  if (typeof epoch !== 'string' || !isPosition(from) || !isPosition(to) || from > to) return undefined
  if ((name !== undefined && typeof name !== 'string') || (proven !== undefined && !isPosition(proven)))
    return undefined
  if (typeof hasCommit !== 'boolean') return undefined
  return { epoch, name, from, to, proven, commit: hasCommit ? commit : undefined }
}

/** A commit of which only the transaction can be read. */
function everythingOf({ x: xid, a: committedAt }: Readonly<Record<string, unknown>>): CommitBody | undefined {
  if (xid !== undefined && !Number.isSafeInteger(xid)) return undefined
  const time = typeof committedAt === 'number' && Number.isFinite(committedAt) ? committedAt : 0
  return {
    xid: xid as number | undefined,
    committedAt: time,
    changes: [{ kind: 'everything', reason: 'unknown-version' }],
  }
}

function isPosition(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function tablesOf(changes: readonly Change[]): readonly Change[] {
  const tables = new Set(changes.flatMap((change) => (change.kind === 'row' ? [change.table] : [])))
  const whole = [...tables].map((table) => ({ kind: 'table', table, reason: 'large' }) as const)
  return [...changes.filter((change) => change.kind !== 'row'), ...whole]
}
