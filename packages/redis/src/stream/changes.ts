import { type Change, type Commit, type Image, readBy, type Target } from 'tidemark'

/** The version of what records say. A higher one can't be read here, and is never skipped. */
const VERSION = 1

/** What each kind of target has, all of it text. A kind that is not here can't be read, as a higher version can't. */
const TARGETS: Readonly<Record<Target['kind'], readonly string[]>> = {
  key: ['tenant', 'key'],
  tag: ['tenant', 'tag'],
  pattern: ['tenant', 'syntax', 'pattern'],
  tenant: ['tenant'],
  everything: [],
}
const SYNTAXES = ['glob', 'regex']
const REASONS = ['truncate', 'large', 'ddl', 'coarse', 'columns-added']

/** A commit as it stands in a record, without its position. */
export interface CommitBody {
  readonly xid: number | undefined
  readonly committedAt: number
  readonly changes: readonly Change[]
}

/** The form of a commit in JSON. */
export function encodeCommit({ xid, committedAt, changes }: CommitBody): Record<string, unknown> {
  return { v: VERSION, x: xid, a: committedAt, c: changes }
}

/** Reads what `encodeCommit` wrote; undefined for anything else, and for any other version. Never throws. */
export function decodeCommit(
  body: Readonly<Record<string, unknown>>,
): Pick<Commit, 'xid' | 'committedAt' | 'changes'> | undefined {
  const { v, x: xid, a: committedAt, c: changes } = body
  if (v !== VERSION || typeof committedAt !== 'number' || !Number.isFinite(committedAt)) return undefined
  if (xid !== undefined && !Number.isSafeInteger(xid)) return undefined
  if (!Array.isArray(changes) || !changes.every(isChange)) return undefined
  return { xid: xid as number | undefined, committedAt, changes: changes.map(readable) }
}

/** The same change, naming nobody: for what anybody may have written. */
export function unattributed(change: Change): Change {
  if (change.kind !== 'target' || change.by === undefined) return change
  const { by: _, ...rest } = change
  return rest
}

/** An object of a record's text, or undefined. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Who asked is never a reason not to read a record: what of it can't be read is left out. */
function readable(change: Change): Change {
  if (change.kind !== 'target' || change.by === undefined) return change
  const by = readBy(change.by)
  return by ? { ...change, by } : unattributed(change)
}

// ── what others may have written ─────────────────────────────────────────────────────────────────────────

function isChange(value: unknown): value is Change {
  if (!isObject(value)) return false
  switch (value.kind) {
    case 'row':
      return isRow(value)
    case 'table':
      return typeof value.table === 'string' && REASONS.includes(value.reason as string)
    case 'everything':
      return typeof value.reason === 'string'
    case 'target':
      return (
        Array.isArray(value.targets) &&
        value.targets.every(isTarget) &&
        (value.mode === 'drop' || value.mode === 'expire') &&
        (value.nonce === undefined || typeof value.nonce === 'string')
      )
    default:
      return false
  }
}

function isRow({ table, op, old, new: current }: Readonly<Record<string, unknown>>): boolean {
  if (typeof table !== 'string') return false
  if (op === 'insert') return old === null && isImage(current)
  if (op === 'delete') return isImage(old) && current === null
  return op === 'update' && isImage(old) && isImage(current)
}

function isImage(value: unknown): value is Image {
  return isObject(value) && Object.values(value).every((text) => text === null || typeof text === 'string')
}

function isTarget(value: unknown): value is Target {
  if (!isObject(value) || typeof value.kind !== 'string' || !Object.hasOwn(TARGETS, value.kind)) return false
  if (value.kind === 'pattern' && !SYNTAXES.includes(value.syntax as string)) return false
  return TARGETS[value.kind as Target['kind']].every((name) => typeof value[name] === 'string')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
