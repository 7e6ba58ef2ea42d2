import { createHash } from 'node:crypto'

/** What identifies the history that a server's WAL belongs to. */
export interface ServerIdentity {
  readonly systemIdentifier: string
  readonly timeline: number
  /** `extract(epoch from pg_postmaster_start_time())` as text: the same for every connection of one server run. */
  readonly startedAt: string
}

/**
 * The epoch of a server's history: system identifier, timeline and branch. Files can be replaced by an older copy only under a
 * stopped server, and every process sees the same start time: so it is the branch.
 */
export function epochOf(server: ServerIdentity): string {
  const branch = createHash('sha256').update(server.startedAt).digest('hex').slice(0, 8)
  return `${server.systemIdentifier}-${server.timeline}-${branch}`
}
