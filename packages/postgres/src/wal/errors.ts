import { DatabaseError } from 'pg'
import { LogGapError, SourceDownError, TidemarkError } from 'tidemark'

/** `wal_level` is not `logical`: the server writes too little into its WAL to be followed. */
export class WalLevelError extends TidemarkError {
  readonly code = 'TIDEMARK_WAL_LEVEL'
  /** What to run before the server is restarted. */
  readonly sql = 'alter system set wal_level = logical'
}

/** The address is a connection pooler's; replication needs the server itself. */
export class PoolerError extends TidemarkError {
  readonly code = 'TIDEMARK_POOLER'
}

/** A right is missing. `sql` is what somebody who has it should run. */
export class RightsError extends TidemarkError {
  readonly code = 'TIDEMARK_RIGHTS'
  readonly sql: string
  constructor(message: string, sql: string, options?: ErrorOptions) {
    super(`${message} Have somebody with the right run: ${sql}`, options)
    this.sql = sql
  }
}

/** No replication slot, or no walsender, is free. */
export class NoSlotError extends TidemarkError {
  readonly code = 'TIDEMARK_NO_SLOT'
}

/** The server is a standby: its snapshots lag, and it cannot be asked what is visible on the primary. */
export class StandbyError extends TidemarkError {
  readonly code = 'TIDEMARK_STANDBY'
}

/** The server is too old to be followed. */
export class VersionError extends TidemarkError {
  readonly code = 'TIDEMARK_VERSION'
}

/** The publication cannot be used as it is, or was dropped. */
export class PublicationError extends TidemarkError {
  readonly code = 'TIDEMARK_PUBLICATION'
}

/** The shared slot can't be used: it is another program's, or the server gave it up. */
export class SlotError extends TidemarkError {
  readonly code = 'TIDEMARK_SLOT'
}

/** The server sent something that this version does not understand. */
export class ProtocolError extends TidemarkError {
  readonly code = 'TIDEMARK_PROTOCOL'
}

/** The SQLSTATE, if the server itself answered with an error. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof DatabaseError ? error.code : undefined
}

/** An error's code for people: a SQLSTATE, or the system's name of why a connection failed. */
function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : ''
}

/**
 * Says in Tidemark's terms why the server could not be reached, or the log not be taken up.
 *
 * @param step  `connect`: the start-up of an ordinary connection; `replicate`: of a replication connection; `start`: what follows
 */
export function startError(error: unknown, step: 'connect' | 'replicate' | 'start'): TidemarkError {
  if (error instanceof TidemarkError) return error
  const state = sqlState(error)
  return (step === 'start' ? undefined : refused(state, step === 'replicate', error)) ?? failed(state, error)
}

/** A server takes every start-up parameter that we send, and a walsender every replication command; a pooler does not. */
function refused(state: string | undefined, isReplication: boolean, cause: unknown): TidemarkError | undefined {
  switch (state) {
    case '08P01':
    case '42601':
      return new PoolerError(
        'The address does not answer as a PostgreSQL server does: it is probably a connection pooler. ' +
          'Following the WAL needs a connection to the server itself: give its address as directUrl.',
        { cause },
      )
    case '42704':
      return new VersionError('The server does not know a setting that PostgreSQL has since version 14. Upgrade it.', {
        cause,
      })
    case '42501':
    case '28000':
      if (!isReplication) return undefined
      return new RightsError(
        'The role may not start replication, or pg_hba.conf does not let it connect.',
        'alter role <role> replication',
        { cause },
      )
    default:
      return undefined
  }
}

function failed(state: string | undefined, cause: unknown): TidemarkError {
  switch (state) {
    case '53400':
      return new NoSlotError(
        'All replication slots of the server are in use. Raise max_replication_slots (needs a restart), or drop slots that ' +
          'nobody uses: select slot_name, active from pg_replication_slots.',
        { cause },
      )
    case '53300':
      return new NoSlotError(
        'The server has no connection or walsender left. Raise max_wal_senders or max_connections (needs a restart), or end others.',
        { cause },
      )
    case '55000':
      return new WalLevelError(walLevelText, { cause })
    default:
      return new SourceDownError(
        `PostgreSQL cannot be reached, or refused what Tidemark asked${codeOf(cause)}. ` +
          'Check that it runs and that host, port, user and password of the address are right; Tidemark keeps trying.',
        { cause },
      )
  }
}

/** Says why a log that was being followed ended. */
export function lostError(error: unknown): TidemarkError {
  if (error instanceof TidemarkError) return error
  return new LogGapError(
    `The replication connection ended${codeOf(error)}; its temporary slot is gone, so what was kept is not believed. ` +
      'It is taken up anew by itself. If this repeats, look into the log of PostgreSQL.',
    { cause: error },
  )
}

export const walLevelText =
  'PostgreSQL runs with wal_level below logical, so its changes cannot be followed. ' +
  'Run: alter system set wal_level = logical; then restart the server.'
