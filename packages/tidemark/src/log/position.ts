import { PositionError } from '../errors.js'

/**
 * A place in the log: the end of a commit. Positions of one epoch are ordered by `lsn`; of different epochs not at all.
 *
 * `lsn` is a safe integer (PostgreSQL's 64-bit LSN fits up to 2^53 bytes of WAL, 9 PB). The tidemark moves by whole
 * commits, so a position needs no sequence inside one.
 */
export interface Position {
  readonly epoch: string
  readonly lsn: number
}

/** What a caller may hand in: a full position, or a bare LSN (this epoch), with the writer's 64-bit transaction id if known. */
export interface RequestedPosition {
  readonly epoch: string | undefined
  readonly lsn: number
  readonly xid: number | undefined
  /** All transactions with a lower id were visible to new snapshots of the source when it was taken (`cache.position()`). */
  readonly seenBelow?: number
}

const FORM =
  /^(?:([A-Za-z0-9._-]{1,128}):)?([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})(?:@([0-9]{1,16}))?(?:~([0-9]{1,16}))?$/

/** An LSN in PostgreSQL's own form, `16/B374D848`. */
export function formatLsn(lsn: number): string {
  return `${Math.floor(lsn / 2 ** 32)
    .toString(16)
    .toUpperCase()}/${(lsn % 2 ** 32).toString(16).toUpperCase()}`
}

/** The text form of a position: `<epoch>:<LSN>`, e.g. `7312-1-a9:0/16B3748`; safe in a header and in a URL. */
export function formatPosition(position: Position): string {
  return `${position.epoch}:${formatLsn(position.lsn)}`
}

/**
 * Reads `epoch:X/Y`, `X/Y`, and either with `@xid`, and with `~xid` as `cache.position()` has it.
 *
 * @throws PositionError (`TIDEMARK_POSITION`) if the text has another form or exceeds 2^53.
 */
export function parsePosition(text: string): RequestedPosition {
  const parts = FORM.exec(text)
  const lsn = parts ? Number.parseInt(parts[2]!, 16) * 2 ** 32 + Number.parseInt(parts[3]!, 16) : Number.NaN
  const xid = parts?.[4] === undefined ? undefined : Number(parts[4])
  const seenBelow = parts?.[5] === undefined ? undefined : Number(parts[5])
  if (!parts || ![lsn, xid ?? 0, seenBelow ?? 0].every(Number.isSafeInteger)) {
    throw new PositionError(
      'A position has the form "epoch:X/Y" or "X/Y" (hexadecimal, below 2^53), optionally followed by "@" and a transaction id. ' +
        "Use the text of an answer's `asOf`, of the header Tidemark-Position, or of pg_current_wal_insert_lsn().",
    )
  }
  return { epoch: parts[1], lsn, xid, ...(seenBelow === undefined ? {} : { seenBelow }) }
}
