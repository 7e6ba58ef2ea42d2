import { createHash } from 'node:crypto'

/** What identifies the history that a server's WAL belongs to. */
export interface ServerIdentity {
  readonly systemIdentifier: string
  readonly timeline: number
  /** `extract(epoch from pg_postmaster_start_time())` as text: the same for every connection of one server run. */
  readonly startedAt: string
}

/** Whether two epochs differ by a restart of the server at most, as far as they tell: files may have been replaced in between. */
export function isRestartOf(before: string, now: string): boolean {
  const files = (epoch: string): string => epoch.slice(0, epoch.lastIndexOf('-'))
  return files(before) === files(now)
}

/**
 * The epoch of a server's history: system identifier, timeline and branch. Files can be replaced by an older copy only under a
 * stopped server, and every process sees the same start time: so it is the branch.
 */
export function epochOf({ systemIdentifier, timeline, startedAt }: ServerIdentity): string {
  return `${systemIdentifier}-${timeline}-${branchOf(startedAt)}`
}

/** The system identifier in an epoch, if it is of the server run that started then; which server that is not every role may ask. */
export function systemOf(epoch: string, startedAt: string): string | undefined {
  const [systemIdentifier, timeline, branch] = epoch.split('-')
  return timeline !== undefined && branch === branchOf(startedAt) ? systemIdentifier : undefined
}

function branchOf(startedAt: string): string {
  return createHash('sha256').update(startedAt).digest('hex').slice(0, 8)
}
