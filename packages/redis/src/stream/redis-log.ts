import {
  type Change,
  type Clock,
  LimitError,
  type Log,
  LogGapError,
  type LogListener,
  type LogStatus,
  type Probe,
  type RequestedPosition,
  type TargetChange,
} from 'tidemark'
import { Asks } from './asks.js'
import { decodeCommit, encodeCommit, parseObject, unattributed } from './changes.js'
import { StreamFollower, type TakenUp } from './follower.js'
import { type Line, type LineOptions, type Look, type Place, positionOf, type StreamEntry } from './line.js'
import { pause } from './pause.js'
import type { Seals } from './seal.js'
import { type StreamOptions, settingsOf } from './stream-options.js'

const BODY_MAX = 8 * 2 ** 20
const APPEND_BOUND_MS = 5_000
const VISIBLE_LOOK_MS = 20
const OWN_MAX = 10_000

/**
 * A Redis or Valkey stream as the log of processes that follow no PostgreSQL: `createCache({ log: redisLog({ url }) })`.
 *
 * What one process invalidates is gone in all of them. With a `secret`, what others write into the stream can only drop. `stream` is
 * `tidemark:log` by default, `retain` 100,000. It connects in the background, with two connections of its own.
 *
 * @throws OptionError (`TIDEMARK_OPTION`)
 */
export function redisLog(options: StreamOptions): Log {
  const { line, seals, retain } = settingsOf('redisLog', options, 'tidemark:log')
  return new RedisLog(line, seals, retain)
}

class RedisLog implements Log {
  readonly name: string
  readonly #clock: Clock
  readonly #seals: Seals
  readonly #retain: number
  readonly #follower: StreamFollower
  readonly #asks: Asks
  readonly #closing = new AbortController()
  /** Nonces of requests of this process that name somebody, and were not read again yet. */
  readonly #own = new Set<string>()
  #listener: LogListener | undefined

  constructor(options: LineOptions, seals: Seals, retain: number) {
    this.name = options.stream
    this.#clock = options.clock
    this.#seals = seals
    this.#retain = retain
    this.#asks = new Asks(options)
    this.#follower = new StreamFollower(options, {
      takeUp: async (_line: Line, look: Look, place: Place | undefined) => this.#takeUp(look, place),
      record: (entry, position) => this.#record(entry, position),
      lost: (reason) => this.#listener?.lost(reason),
    })
  }

  follow(listener: LogListener): void {
    this.#listener ??= listener
    this.#follower.follow()
  }

  async probe(): Promise<Probe> {
    const before = this.#follower.at
    const look = await this.#asks.look()
    const flushed = endOf(look)
    // A history that is another one, or got shorter, ends before what this process applied: reaching its end is not being current.
    const at = this.#follower.at
    if (at && (at.run !== look.run || at.epoch !== look.epoch || flushed < (before ? endOf(before) : 0))) {
      const gap = new LogGapError('The stream was emptied or put back to an earlier state; L1 was emptied.')
      this.#follower.cut(gap)
      throw gap
    }
    return { snapshot: undefined, flushed }
  }

  nudge(): void {
    // A read waits for the next record already.
  }

  async append(change: TargetChange): Promise<void> {
    const body = JSON.stringify(encodeCommit({ xid: undefined, committedAt: this.#clock.wall(), changes: [change] }))
    if (body.length > BODY_MAX)
      throw new LimitError(
        `An invalidation takes at most ${BODY_MAX} bytes in the log. Split it, or name a tag that they share.`,
      )
    if (change.by && change.nonce !== undefined) this.#remember(change.nonce)
    await this.#asks.append([this.#seals.seal(body)], this.#retain, APPEND_BOUND_MS)
  }

  async visible(position: RequestedPosition, signal: AbortSignal): Promise<boolean> {
    const bound = AbortSignal.any([signal, this.#closing.signal])
    while (!bound.aborted) {
      const look = await this.#asks.look().catch(() => undefined)
      // What is appended was at its source before.
      if (look && position.epoch !== undefined && position.epoch !== nameOf(look)) return false
      if (look && endOf(look) >= position.lsn) return true
      await pause(this.#clock, VISIBLE_LOOK_MS, bound)
    }
    return false
  }

  status(): LogStatus {
    return this.#follower.status
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all([this.#follower.close(), this.#asks.close()])
  }

  #takeUp(look: Look, place: Place | undefined): TakenUp {
    const epoch = nameOf(look)
    if (place) return { place, tell: () => this.#listener?.resumed({ epoch }) }
    const start = { epoch, lsn: endOf(look), proof: { kind: 'visible' } } as const
    return { place: look.newest, tell: () => this.#listener?.started(start) }
  }

  #record(entry: StreamEntry & { readonly body: string }, lsn: number): void {
    const commit = decodeCommit(parseObject(entry.body) ?? {})
    if (!commit) throw new LogGapError(UNREADABLE)
    const isSealed = this.#seals.isSealed(entry)
    const isBelieved = !this.#seals.hasSecret || isSealed
    const changes = commit.changes.map((change) => {
      const isOwn = change.kind === 'target' && change.nonce !== undefined && this.#own.delete(change.nonce)
      // Without a secret others are taken at their word about what to invalidate, not about who they are.
      const named = isSealed || isOwn ? change : unattributed(change)
      return isBelieved ? named : dropping(named)
    })
    const prev = positionOf(entry.previous.id)
    this.#listener?.commit({ ...commit, lsn, changes, ...(prev === undefined ? {} : { prev }) })
  }

  #remember(nonce: string): void {
    // A record that never comes back (the stream was emptied meanwhile) must not stay for ever.
    if (this.#own.size >= OWN_MAX) for (const oldest of this.#own) if (this.#own.delete(oldest)) break
    this.#own.add(nonce)
  }
}

const UNREADABLE =
  'The stream has a record that this version cannot read, so it may concern anything; L1 was emptied. ' +
  'If this repeats, a newer version of Tidemark writes into it, or a stranger: upgrade this process, or give it a stream of its own.'

/** Whoever can write into the stream can drop, which is never wrong; only we can keep something for grace. */
function dropping(change: Change): Change {
  return change.kind === 'target' ? { ...change, mode: 'drop' } : change
}

/** The random id goes with the stream; the run of the server with what it may have forgotten. */
function nameOf({ epoch, run }: Pick<Look, 'epoch' | 'run'>): string {
  return `${epoch}-${run.slice(0, 8)}`
}

function endOf({ newest }: { readonly newest: Place }): number {
  return positionOf(newest.id) ?? 0
}
