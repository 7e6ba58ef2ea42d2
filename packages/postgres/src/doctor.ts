import { Client, type ClientConfig } from 'pg'
import { checkActivity } from './doctor/activity.js'
import { error, type Finding, ok, warning } from './doctor/finding.js'
import { checkFollowers } from './doctor/followers.js'
import { recognise } from './doctor/provider.js'
import { checkRights } from './doctor/rights.js'
import { checkServer } from './doctor/server.js'
import { checkTables } from './doctor/tables.js'
import { checkTimeLimits } from './doctor/time-limits.js'
import { checkTriggers } from './doctor/triggers.js'
import { type ConnectionOptions, SqlConnection } from './wal/connection.js'
import { RightsError, StandbyError, sqlState, startError, WalLevelError } from './wal/errors.js'
import { connectReplication, connectSql, isSameServer, replicationClient, type Server } from './wal/server.js'

export type { Finding } from './doctor/finding.js'

export interface DoctorOptions {
  /** The address of the server itself, where `url` is a pooler's. Default: `url`. */
  readonly directUrl?: string
  /** Default `tidemark`. */
  readonly publication?: string
  /** The shared slot, where the application uses one. */
  readonly slot?: string
  readonly ssl?: ClientConfig['ssl']
}

const CONNECT_TIMEOUT_MS = 5_000
const QUERY_TIMEOUT_MS = 30_000

/**
 * Looks at what following a database needs: address, settings, rights, identities of tables, slots, lag, poolers, time limits, version.
 * Changes nothing on the server; for a moment it opens a replication connection.
 *
 * Never throws: a server that can't be reached is a finding.
 */
export async function doctor(url: string, options: DoctorOptions = {}): Promise<Finding[]> {
  const { directUrl = url, publication = 'tidemark', slot, ssl } = options
  const to = (address: string): ConnectionOptions => ({
    url: address,
    applicationName: 'tidemark doctor',
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    ...(ssl === undefined ? {} : { ssl }),
  })
  // The role's own bounds may be too short for a look at a large catalogue.
  const settings = { statement_timeout: `${QUERY_TIMEOUT_MS}`, lock_timeout: '0' }
  const direct = new SqlConnection(() => connectSql(to(directUrl), settings, undefined), QUERY_TIMEOUT_MS)
  const attempt = await checkReplication(to(directUrl))
  try {
    // Of a server that is too old not even the questions below are understood.
    if (attempt.finding.code === 'TIDEMARK_VERSION') return [attempt.finding]
    const { server } = attempt
    const provider = await recognise(direct)
    const [row] = await direct.rows<{ version: number }>("select current_setting('server_version_num')::int as version")
    const findings = [
      ...(await checkQueries(url, ssl, directUrl === url ? undefined : server)),
      ...(await look('settings', () => checkServer(direct, provider, server?.pid))),
      ...(await look('rights', () => checkRights(direct, provider, attempt.mayReplicate))),
      ...(await look('tables', () => checkTables(direct, publication, row!.version))),
      ...(await look('event triggers', () => checkTriggers(direct, row!.version))),
      ...(await look('slots and transactions', () => checkActivity(direct, slot))),
      ...(await look('followers', () => checkFollowers(direct, slot))),
    ]
    // What stopped the replication connection, and was found again with the way to mend it, is told once.
    const { finding } = attempt
    const isFound = findings.some(({ severity, code }) => severity === 'error' && code === finding.code)
    return isFound ? findings : [finding, ...findings]
  } catch (reason) {
    return attempt.server ? [unreachable(reason)] : [attempt.finding]
  } finally {
    await direct.close()
  }
}

/** A part that the server refuses to tell of leaves the others. */
async function look(part: string, check: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await check()
  } catch (reason) {
    const state = sqlState(reason)
    if (state === undefined || /^(08|25P|57)/.test(state)) throw reason
    return [
      warning(
        'not-looked-at',
        `the server refuses to tell of its ${part} (${state})`,
        'What is wrong there is not among these findings.',
        'Run it as a role that is told more, or report this with the version of PostgreSQL.',
        false,
      ),
    ]
  }
}

/** What of the findings is SQL, as a script for somebody with the rights. Empty if there is nothing to do. */
export function doctorSql(findings: readonly Finding[]): string {
  return findings
    .filter(({ severity, isSql }) => severity !== 'ok' && isSql)
    .map(({ severity, code, title, cost, fix }) => `-- ${severity}, ${code}: ${title}\n-- ${cost}\n${fix}\n`)
    .join('\n')
}

interface Attempt {
  readonly finding: Finding
  readonly server?: Server
  /** undefined if the attempt ended before it told. */
  readonly mayReplicate?: boolean
}

/** Whether the address opens a replication connection to a server that can be followed. */
async function checkReplication(options: ConnectionOptions): Promise<Attempt> {
  let replication: Client | undefined
  try {
    replication = replicationClient(options)
    const server = await connectReplication(replication)
    return { finding: ok('follow', 'the address opens a replication connection'), server, mayReplicate: true }
  } catch (reason) {
    const finding = unreachable(reason)
    if (reason instanceof RightsError) return { finding, mayReplicate: false }
    // These are found out through the connection, once it stands.
    const stood = reason instanceof WalLevelError || reason instanceof StandbyError
    return stood ? { finding, mayReplicate: true } : { finding }
  } finally {
    await replication?.end().catch(() => {})
  }
}

/**
 * The address of the loaders' queries: their time limits, and whether it leads to the server and database that are followed.
 *
 * @param server  what is followed; undefined if that is by the same address, or not known
 */
async function checkQueries(url: string, ssl: ClientConfig['ssl'], server: Server | undefined): Promise<Finding[]> {
  // As loaders connect: a pooler may refuse start-up parameters, and what is set would hide what the role has set.
  let client: Client | undefined
  try {
    client = new Client({
      connectionString: url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      ...(ssl === undefined ? {} : { ssl }),
    })
    client.on('error', () => {})
    await client.connect()
    return [...(server ? [await checkPooled(client, server)] : []), ...(await checkTimeLimits(client))]
  } catch (reason) {
    return [unreachable(startError(reason, client))]
  } finally {
    await client?.end().catch(() => {})
  }
}

async function checkPooled(client: Client, server: Server): Promise<Finding> {
  if (await isSameServer(client, server)) return ok('pooler', 'both addresses lead to the same database')
  return error(
    'TIDEMARK_POOLER',
    'url and directUrl lead to different databases, or url leads to a standby',
    'What is read at the one is not what is followed at the other: nothing is kept.',
    'Let both name the same primary and database.',
    false,
  )
}

function unreachable(reason: unknown): Finding {
  const { code, message } = startError(reason)
  const sql = reason instanceof WalLevelError || reason instanceof RightsError ? reason.sql : undefined
  const cost = 'Changes cannot be followed: entries live until they expire.'
  return sql === undefined ? error(code, message, cost, message, false) : error(code, message, cost, `${sql};`)
}
