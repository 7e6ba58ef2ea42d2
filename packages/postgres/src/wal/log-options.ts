import type { ClientConfig } from 'pg'
import type { Clock, TidemarkError } from 'tidemark'
import type { ConnectionOptions } from './connection.js'
import type { HoldLimits } from './holds.js'
import type { Recording } from './recording.js'

export interface WalLogOptions {
  /** The address of the server itself, not of a pooler. */
  readonly url: string
  readonly ssl?: ClientConfig['ssl']
  /** The publication that lists the tables that are followed. One for each application. Default `tidemark`. */
  readonly publication?: string
  /**
   * A permanent slot that the processes of the application share: whoever holds it goes on without a gap after a lost connection, and keeps what is proven after a restart of the server; the
   * others follow through temporary ones, and one of them takes it over when it is free. Default: none.
   */
  readonly slot?: string
  /** The WAL, in bytes, that the server may keep for the shared slot; beyond it the slot is dropped and made anew. Default 4 GiB. */
  readonly slotKeepMax?: number
  /**
   * How long, and for how many bytes of WAL, the shared slot is not acknowledged while L2 or the relay lacks what it delivered. Default 10 s
   * (10,000), 256 MiB.
   */
  readonly ackHoldMs?: number
  readonly ackHoldMax?: number
  /** How the connections appear in pg_stat_activity. Default `tidemark`. */
  readonly applicationName?: string
  /** Default 5,000. */
  readonly connectTimeoutMs?: number
  /** How long a query of our own may take before its connection is cut. Default 15,000; a probe 2,000. */
  readonly queryTimeoutMs?: number
  /** How often the server is told what was applied. Default 1,000. */
  readonly statusIntervalMs?: number
  /** How often the catalogue is looked at. Default 1,000; never more than a twentieth of the time goes into it. */
  readonly cataloguePollMs?: number
  /** A transaction of more rows than this is delivered as its tables. Default 10,000. */
  readonly rowsMax?: number
  /** The same for the bytes of its rows. Default 64 MiB. */
  readonly bytesMax?: number
  /** Shared by all processes of the application: messages without its HMAC can only drop. */
  readonly secret?: string
  /** Told once of each problem that does not stop the log, e.g. tables that the role may not publish. */
  readonly onProblem?: (problem: TidemarkError) => void
  /** Records what the shared slot delivers; it is acknowledged no further than that. Default: nobody does. */
  readonly recording?: Recording | undefined
  readonly clock?: Clock
}

/** How its connections are opened. */
export function connectionOf({ url, ssl, applicationName, connectTimeoutMs }: WalLogOptions): ConnectionOptions {
  return {
    url,
    applicationName: applicationName ?? 'tidemark',
    connectTimeoutMs: connectTimeoutMs ?? 5_000,
    ...(ssl === undefined ? {} : { ssl }),
  }
}

export function holdLimits({ ackHoldMs = 10_000, ackHoldMax = 256 * 2 ** 20 }: WalLogOptions): HoldLimits {
  return { holdMs: ackHoldMs, holdBytes: ackHoldMax }
}

/** What bounds the stream: how often it is looked after, and how much of a transaction is kept. */
export function streamLimits({
  statusIntervalMs = 1_000,
  cataloguePollMs = 1_000,
  rowsMax = 10_000,
  bytesMax = 64 * 2 ** 20,
}: WalLogOptions): Required<Pick<WalLogOptions, 'statusIntervalMs' | 'cataloguePollMs' | 'rowsMax' | 'bytesMax'>> {
  return { statusIntervalMs, cataloguePollMs, rowsMax, bytesMax }
}
