import {
  type Clock,
  type Log,
  LogGapError,
  type LogHold,
  type LogListener,
  type LogStatus,
  type Probe,
  type Relay,
  type RequestedPosition,
  SourceDownError,
  systemClock,
  type TargetChange,
  type TidemarkError,
} from 'tidemark'
import type { DatabaseLog } from '../followed.js'
import { WalLog } from './log.js'
import type { WalLogOptions } from './log-options.js'
import { pause } from './pause.js'
import { RelayedDatabase } from './relay-source.js'
import type { Server } from './server.js'
import { SharedSlot, type SlotLook } from './shared-slot.js'
import type { FollowedTable } from './tables.js'
import { PROBE_PACE_MS } from './visibility.js'

/** Within 3 s of its becoming free somebody holds the slot again. */
const LOOK_MS = 400
const FREE_MS = 300
/** A holder that stands still keeps its lock too, so it is not waited for. */
const FREE_MAX_MS = 1_500
const PASSED_OVER_LOOKS = 5
const SLOT_KEEP_MAX = 4 * 2 ** 30

export interface RelayLogOptions extends WalLogOptions {
  readonly slot: string
  readonly relay: Relay
  /** `follower`: it never leads. `leader`: it never follows what others relay. */
  readonly role: 'auto' | 'leader' | 'follower'
}

/** What a process is now, with the log that goes with it. */
interface Role {
  readonly name: 'leader' | 'follower'
  readonly log: Log
  readonly database: Pick<DatabaseLog, 'server' | 'followed' | 'want'>
  /** Whether it holds the shared slot. */
  holdsSlot(): boolean
}

/**
 * The log of a process among many: whoever gets the shared slot reads the WAL and relays it, all others read the relay. The slot decides who
 * leads, and is looked at by all; so one leads at a time, but for moments in which two do no harm.
 *
 * Whoever changes its role begins anew (its L1 is emptied). Those that go on following notice a change of the leader only as a pause.
 */
export class RelayLog implements DatabaseLog {
  readonly probePaceMs = PROBE_PACE_MS
  readonly #options: RelayLogOptions
  readonly #clock: Clock
  readonly #closing = new AbortController()
  /** The slot is looked at over connections of its own: those of a role come and go with it. */
  readonly #looks: RelayedDatabase
  readonly #slot: SharedSlot
  #role: Role | undefined
  readonly #holds = new Map<LogHold, () => void>()
  #isFollowing = false
  #running: Promise<void> | undefined
  #look: SlotLook | undefined
  #freeSince: number | undefined
  /** So many looks found the slot held by another, while this process took itself for the leader. */
  #passedOver = 0
  #problem = ''

  constructor(options: RelayLogOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#looks = new RelayedDatabase(options, () => {})
    const { slot, slotKeepMax = SLOT_KEEP_MAX } = options
    this.#slot = new SharedSlot(this.#looks.sql, this.#clock, slot, slotKeepMax)
  }

  get name(): string | undefined {
    return this.#role?.log.name
  }

  get server(): Server | undefined {
    return this.#role?.database.server as Server | undefined
  }

  followed(table: string): FollowedTable | undefined {
    return this.#role?.database.followed(table)
  }

  want(table: string): void {
    this.#role?.database.want(table)
  }

  follow(listener: LogListener): void {
    this.#running ??= this.#run(listener)
  }

  async probe(): Promise<Probe> {
    return this.#active.probe()
  }

  nudge(): void {
    this.#role?.log.nudge()
  }

  async append(change: TargetChange): Promise<void> {
    await this.#active.append(change)
  }

  async visible(position: RequestedPosition, signal: AbortSignal): Promise<boolean> {
    return this.#active.visible(position, signal)
  }

  hold(hold: LogHold): () => void {
    this.#holds.set(hold, this.#role?.log.hold?.(hold) ?? (() => {}))
    return () => {
      this.#holds.get(hold)?.()
      this.#holds.delete(hold)
    }
  }

  status(): LogStatus {
    if (this.#closing.signal.aborted) return { state: 'closed', reason: 'the log was closed' }
    if (!this.#role) return { state: 'connecting', reason: this.#problem || 'it looks who holds the shared slot' }
    const { name, log, holdsSlot } = this.#role
    // One that only leads says so once it does; one of `auto` that tries for the slot is about to.
    const role = name === 'leader' && this.#options.role === 'leader' && !holdsSlot() ? 'standby' : name
    return { slot: this.#slot.status(false), ...log.status(), role }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
    await Promise.all([this.#role?.log.close(), this.#looks.close()])
  }

  // ── who leads ──────────────────────────────────────────────────────────────────────────────────────────

  async #run(listener: LogListener): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        await this.#decide(listener)
        this.#problem = ''
      } catch (error) {
        // Who leads can't be seen now: the role stays, and says by itself if it can't go on.
        this.#problem = error instanceof Error ? error.message : ''
      }
      await pause(this.#clock, LOOK_MS * (0.5 + this.#clock.random()), signal)
    }
  }

  async #decide(listener: LogListener): Promise<void> {
    if (this.#options.role === 'leader') {
      // It reads the log through a slot of its own while another holds the shared one, and takes that over by itself.
      if (!this.#role) await this.#change(this.#newLeader(), listener)
      return
    }
    if (this.#role?.holdsSlot()) {
      this.#passedOver = 0
      return
    }
    this.#look = await this.#slot.look()
    if (this.#closing.signal.aborted) return
    const { isActive } = this.#look
    if (isActive) this.#freeSince = undefined
    else this.#freeSince ??= this.#clock.now()
    if (this.#role?.name === 'leader') {
      // One whose line broke is still taken for the holder for a while.
      this.#passedOver = isActive ? this.#passedOver + 1 : 0
      if (this.#passedOver >= PASSED_OVER_LOOKS) await this.#change(this.#newFollower(), listener)
    } else if (this.#freeSince !== undefined && (await this.#mayLead(this.#clock.now() - this.#freeSince))) {
      this.#passedOver = 0
      await this.#change(this.#newLeader(), listener)
    } else if (!this.#role) {
      await this.#change(this.#newFollower(), listener)
    }
  }

  /**
   * Whether to try for the slot, which has been free for so long. Of many, one should, as the others would begin anew in vain; a lock of the
   * database settles which. It is no more than that: if whoever has it does nothing, everybody tries.
   */
  async #mayLead(freeMs: number): Promise<boolean> {
    if (this.#options.role === 'follower') return false
    // A holder whose line broke comes back within moments, and loses nothing.
    if (this.#role && freeMs < FREE_MS) return false
    if (freeMs > FREE_MAX_MS) return true
    const key = `tidemark/${this.#slot.name}`
    const [row] = await this.#looks.sql.rows<{ first: boolean }>(
      'select pg_try_advisory_lock(hashtextextended($1, 0)) as first',
      [key],
    )
    return row!.first
  }

  async #change(role: Role, listener: LogListener): Promise<void> {
    const before = this.#role
    this.#role = role
    for (const hold of this.#holds.keys()) this.#holds.set(hold, role.log.hold?.(hold) ?? (() => {}))
    if (this.#isFollowing) {
      this.#isFollowing = false
      listener.lost(new LogGapError(`This process is the ${role.name} now, and takes the log up anew.`))
    }
    await before?.log.close()
    if (role.name === 'follower') await this.#letLead()
    if (this.#closing.signal.aborted) return
    const isCurrent = (): boolean => this.#role === role
    role.log.follow({
      started: (start) => {
        if (!isCurrent()) return
        this.#isFollowing = true
        listener.started(start)
      },
      commit: (commit) => isCurrent() && listener.commit(commit),
      progress: (lsn) => isCurrent() && listener.progress(lsn),
      lost: (reason: TidemarkError) => {
        if (!isCurrent()) return
        this.#isFollowing = false
        listener.lost(reason)
      },
      resumed: (resume) => {
        if (!isCurrent()) return
        this.#isFollowing = true
        listener.resumed(resume)
      },
    })
  }

  /** Gives the lock back, where this process has it. */
  async #letLead(): Promise<void> {
    await this.#looks.sql.rows('select pg_advisory_unlock_all()').catch(() => {})
  }

  #newLeader(): Role {
    const wal = new WalLog(this.#options)
    const holdsSlot = (): boolean => wal.holdsSlot
    return { name: 'leader', log: this.#options.relay.lead(wal, holdsSlot), database: wal, holdsSlot }
  }

  #newFollower(): Role {
    const database = new RelayedDatabase(this.#options, (problem) => this.#options.onProblem?.(problem))
    return { name: 'follower', log: this.#options.relay.follow(database), database, holdsSlot: () => false }
  }

  get #active(): Log {
    if (!this.#role) throw new SourceDownError('It is not known yet who holds the shared slot. Try again in a moment.')
    return this.#role.log
  }
}
