import type { Snapshot, StartProof } from '../log/log.js'

/** Whether a transaction is visible in a snapshot (or was rolled back): both with 64-bit ids. */
export function isVisible(xid: number, snapshot: Snapshot): boolean {
  return xid < snapshot.xmin || (xid < snapshot.xmax && !snapshot.running.has(xid))
}

/**
 * Whether `now` sees all that `then` saw (rule Start): it reaches at least as high, and no transaction that runs in it, below what
 * `then` covered, had ended in `then`. Does not wait for transactions that ran in both.
 */
export function covers(now: Snapshot, then: Snapshot): boolean {
  if (now.xmax < then.xmax) return false
  for (const xid of now.running) if (xid < then.xmax && !then.running.has(xid)) return false
  return true
}

/**
 * Whether a snapshot shows all that lies before the place where a log was taken up (rule Start).
 *
 * @param snapshot  undefined where the log has no transactions
 */
export function isStartSeen(start: StartProof, snapshot: Snapshot | undefined): boolean {
  switch (start.kind) {
    case 'visible':
      return true
    case 'snapshot':
      return snapshot === undefined || covers(snapshot, start.snapshot)
    case 'xmin':
      return snapshot !== undefined && snapshot.xmin > start.xid
  }
}
