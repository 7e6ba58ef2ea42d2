import { type Client, DatabaseError, escapeIdentifier } from 'pg'
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
  /** @param what  what was sent, as a sentence */
  constructor(what: string, options?: ErrorOptions) {
    super(
      `${what} The log is taken up anew by itself, from empty; if this repeats, look for a newer version of Tidemark, or report it with ` +
        'the version of PostgreSQL.',
      options,
    )
  }
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
 * @param client  the connection that could not be opened; undefined for what fails later
 */
export function startError(error: unknown, client?: Client): TidemarkError {
  if (error instanceof TidemarkError) return error
  const state = sqlState(error)
  return (client && refused(state, client, error)) ?? failed(state, error)
}

/** A server takes every start-up parameter that we send, and a walsender every replication command; a pooler does not. */
function refused(state: string | undefined, client: Client, cause: unknown): TidemarkError | undefined {
  switch (state) {
    case '08P01':
    case '42601':
      return new PoolerError(
        "The address is probably a connection pooler's: it does not answer as PostgreSQL itself does. " +
          'Give the address of the server itself as directUrl; queries may still go through the pooler.',
        { cause },
      )
    case '42704':
      return new VersionError('The server does not know a setting that PostgreSQL 13 has. Upgrade it to 13 or later.', {
        cause,
      })
    case '42501':
      return mayNotConnect(client, cause)
    default:
      return undefined
  }
}

function mayNotConnect({ user, database }: Client, cause: unknown): RightsError {
  const role = user ? escapeIdentifier(user) : '<role>'
  // The server checks the right to replicate elsewhere than the right to connect; the code is the same.
  if (cause instanceof DatabaseError && cause.routine === 'CheckMyDatabase') {
    const sql = `grant connect on database ${database ? escapeIdentifier(database) : '<database>'} to ${role}`
    return new RightsError('The role may not connect to the database.', sql, { cause })
  }
  return new RightsError(
    'The role may not replicate (on Amazon RDS it must be a member of rds_replication).',
    `alter role ${role} replication`,
    { cause },
  )
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
    default:
      return new SourceDownError(`${whyDown(cause)} Tidemark keeps trying.`, { cause })
  }
}

/** Why PostgreSQL could not be reached, and what to do; never the server's own words, which may hold names or values. */
export function whyDown(error: unknown): string {
  const code = codeOf(error)
  if ((error as NodeJS.ErrnoException | undefined)?.syscall === 'open')
    return `A file that the address of PostgreSQL names cannot be read${code}. Correct its sslrootcert, sslcert or sslkey.`
  switch (code) {
    case ' (ERR_INVALID_URL)':
      return (
        `The address of PostgreSQL cannot be read${code}. Write it as postgres://user:password@host:5432/database, with the special ` +
        'characters of the password percent-encoded: # as %23, / as %2F, ? as %3F.'
      )
    case ' (ECONNREFUSED)':
    case ' (ENOENT)':
      return `Nothing answers at the address of PostgreSQL${code}. Check that it runs, and the address's host and port.`
    case ' (ECONNRESET)':
    case ' (EPIPE)':
      return `The connection to PostgreSQL ended${code}. Ask again; if it repeats, see whether idle_session_timeout or the network ends it.`
    case ' (ENOTFOUND)':
    case ' (EAI_AGAIN)':
      return `The host of PostgreSQL's address cannot be found${code}. Correct it, or see to the name service.`
    case ' (28P01)':
      return `PostgreSQL refused the user or the password${code}. Correct them in the address.`
    case ' (28000)':
      return `PostgreSQL does not let this user in from here${code}. Correct the user in the address, switch TLS on (ssl), or add a line to pg_hba.conf.`
    case ' (3D000)':
      return `The database of the address does not exist${code}. Correct its name, or create it.`
    case ' (53300)':
      return `PostgreSQL has no connection left for this role${code}. Lower pool.max, end others, or raise max_connections or the role's limit.`
    case ' (57P01)':
    case ' (57P02)':
      return `PostgreSQL ended the connection, as it stops or somebody had it ended${code}. Ask again; if it repeats, look into its log.`
    case ' (57P05)':
      return `PostgreSQL ended the connection, which was idle for longer than idle_session_timeout allows${code}. Ask again, or raise the limit.`
    case ' (57P03)':
      return `PostgreSQL is starting or stopping${code}. Wait until it accepts connections.`
    case ' (CERT_HAS_EXPIRED)':
    case ' (DEPTH_ZERO_SELF_SIGNED_CERT)':
    case ' (ERR_TLS_CERT_ALTNAME_INVALID)':
    case ' (SELF_SIGNED_CERT_IN_CHAIN)':
    case ' (UNABLE_TO_GET_ISSUER_CERT_LOCALLY)':
    case ' (UNABLE_TO_VERIFY_LEAF_SIGNATURE)':
      return `The certificate of PostgreSQL is not trusted${code}. Give its authority (ssl: { ca }), or use the host name that it is for.`
    default:
      return (
        `PostgreSQL cannot be reached, or refused what Tidemark asked${code}. ` +
        'Check that it runs, and that host, port, database, user, password and TLS of the address are right.'
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
