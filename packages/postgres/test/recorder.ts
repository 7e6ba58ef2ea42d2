import { randomUUID } from 'node:crypto'
import { testDatabase } from '@tidemark/embedded/testing'
import { Client } from 'pg'
import type { Change, Commit, LogListener, LogStart, RowChange, TidemarkError } from 'tidemark'
import { WalLog } from '../src/wal/log.js'
import type { WalLogOptions } from '../src/wal/log-options.js'

/** A database to follow, and clients on it that are ended with it. */
export interface World {
  readonly url: string
  readonly server: Awaited<ReturnType<typeof testDatabase>>['server']
  /** Another connection, as any program would make it. */
  connect(): Promise<Client>
  /** Runs statements on a connection of its own, one after the other. */
  sql(...statements: string[]): Promise<Record<string, unknown>[]>
  /** Follows, and waits until the log was taken up. */
  log(options?: Partial<WalLogOptions>): Promise<Recorder>
  /** A log that is not followed (yet). */
  unfollowed(): WalLog
  /** Follows. */
  open(options?: Partial<WalLogOptions>): Recorder
  end(): Promise<void>
}

export async function world(settings?: Readonly<Record<string, string>>): Promise<World> {
  const database = await testDatabase(settings ? { settings } : {})
  const { url } = database
  const clients: Client[] = []
  const logs: WalLog[] = []
  const connect = async (): Promise<Client> => {
    const client = new Client({ connectionString: url })
    client.on('error', () => {})
    await client.connect()
    clients.push(client)
    return client
  }
  const unfollowed = (options?: Partial<WalLogOptions>): WalLog => {
    const log = new WalLog({ url, cataloguePollMs: 100, ...options })
    logs.push(log)
    return log
  }
  const open = (options?: Partial<WalLogOptions>): Recorder => {
    const log = unfollowed(options)
    const recorder = new Recorder(log)
    log.follow(recorder)
    return recorder
  }
  return {
    url,
    server: database.server,
    connect,
    async sql(...statements) {
      const client = await connect()
      let rows: Record<string, unknown>[] = []
      for (const statement of statements) rows = (await client.query(statement)).rows
      await client.end()
      return rows
    },
    async log(options) {
      const recorder = open(options)
      await recorder.hasStarted(1)
      return recorder
    },
    unfollowed: () => unfollowed(),
    open,
    async end() {
      for (const log of logs) await log.close()
      for (const client of clients) await client.end().catch(() => {})
      await database.drop()
    },
  }
}

/** Notes all that a log tells. */
export class Recorder implements LogListener {
  readonly log: WalLog
  readonly starts: LogStart[] = []
  readonly commits: Commit[] = []
  readonly losses: TidemarkError[] = []
  resumes = 0
  tidemark = 0

  constructor(log: WalLog) {
    this.log = log
  }

  started(start: LogStart): void {
    this.starts.push(start)
    this.tidemark = start.lsn
  }

  commit(commit: Commit): void {
    if (commit.lsn <= this.tidemark) throw new Error('a commit at or before the tidemark')
    this.tidemark = commit.lsn
    this.commits.push(commit)
  }

  progress(lsn: number): void {
    if (lsn < this.tidemark) throw new Error('progress went back')
    this.tidemark = lsn
  }

  lost(reason: TidemarkError): void {
    this.losses.push(reason)
  }

  resumed(): void {
    this.resumes++
  }

  /** Waits until the log was taken up so many times. */
  hasStarted(times: number): Promise<void> {
    return until(
      () => this.starts.length >= times,
      () => `${this.log.status().state}: ${this.log.status().reason}`,
    )
  }

  get changes(): readonly Change[] {
    return this.commits.flatMap(({ changes }) => changes)
  }

  get rows(): readonly RowChange[] {
    return this.changes.filter((change) => change.kind === 'row')
  }

  /** Waits until all that was flushed before the call was delivered, then returns what came since the last call. */
  async since(): Promise<readonly Change[]> {
    await this.caughtUp()
    return this.commits.splice(0).flatMap(({ changes }) => changes)
  }

  /** The same, but rows only. */
  async rowsSince(): Promise<readonly RowChange[]> {
    return (await this.since()).filter((change) => change.kind === 'row')
  }

  async caughtUp(boundMs = 45_000): Promise<void> {
    const { flushed } = await this.log.probe()
    await until(
      () => {
        if (this.tidemark < flushed) this.log.nudge()
        return this.tidemark >= flushed
      },
      () => `the log stands at ${this.tidemark}, flushed is ${flushed}`,
      boundMs,
    )
  }
}

/** Polls until it holds, or fails. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  why: () => string = () => 'it never held',
  boundMs = 45_000,
): Promise<void> {
  const end = Date.now() + boundMs
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`Waited ${boundMs} ms: ${why()}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export function nonce(): string {
  return randomUUID()
}

/** Rows as plain objects, for comparing. */
export function plain(changes: readonly Change[]): unknown {
  return JSON.parse(JSON.stringify(changes))
}
