import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { MemberEntry, Members } from '@tidemark/redis'
import { type Clock, systemClock } from 'tidemark'
import { DisagreementError } from './errors.js'
import { encodeMember, type Member } from './member.js'
import { type Present, Roll } from './roll.js'
import { differencesOf, type Terms } from './terms.js'

/** What a process can say of itself only once it has a cache. */
export type MemberState = Pick<Member, 'address' | 'role' | 'log' | 'tidemark' | 'current' | 'keeping' | 'silenceMs'>

/** Where processes find each other. */
export interface Meeting {
  /** The name of what they share there. */
  readonly name: string
  readonly members: Members
}

export interface ClusterOptions {
  /** Where processes find each other, by the name of what they share there. None: this one is alone. */
  readonly places: readonly Meeting[]
  readonly terms: Terms
  readonly version: string
  /** How often it says that it is there. Default 2,000 ms. */
  readonly everyMs?: number
  readonly clock?: Clock
}

/** One process of the cluster. */
export interface ClusterProcess extends Member {
  readonly id: string
  readonly isSelf: boolean
  /** How long ago it said this. */
  readonly heardMs: number
}

interface Place extends Meeting {
  /** What is shared there works only between processes that are configured alike. */
  readonly mustAgree: boolean
  readonly roll: Roll
  /** Why it could not be asked last; undefined while it can. */
  problem: string | undefined
  /** When it was read last, in monotonic ms. */
  readAt: number
}

const EVERY_MS = 2_000
const JOIN_LOOK_MS = 100
const JOIN_MAX_MS = 15_000
const STARTING: MemberState = {
  address: null,
  role: 'single',
  log: 'connecting',
  tidemark: null,
  current: false,
  keeping: false,
  silenceMs: null,
}

/**
 * Who is there of the processes that share L2, relay or a database: each says so where they share it, and reads what the others say. Nobody is elected
 * and nothing is decided here but one thing: a process whose configuration disagrees with that of one that came before does not join.
 */
export class Cluster {
  readonly id = randomUUID()
  readonly #options: ClusterOptions
  readonly #clock: Clock
  readonly #everyMs: number
  readonly #startedAt: number
  readonly #places: Place[]
  readonly #closing = new AbortController()
  #describe = (): MemberState => STARTING
  #isJoining = true
  #beat = 0
  #timer: { cancel(): void } | undefined
  #beating: Promise<void> | undefined

  private constructor(options: ClusterOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#everyMs = options.everyMs ?? EVERY_MS
    this.#startedAt = this.#clock.now()
    this.#places = options.places.map((meeting) => this.#placeOf(meeting, true))
  }

  /**
   * Joins the processes that are there, and says from then on that this one is, until `close`. A place that does not answer is not waited
   * for: it is asked again with each beat, and what is found then is told by `disagreement`.
   *
   * @throws DisagreementError (`TIDEMARK_DISAGREEMENT`)
   */
  static async join(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options)
    try {
      await cluster.#join()
    } catch (error) {
      await cluster.close()
      throw error
    }
    cluster.#beatSoon()
    return cluster
  }

  /** Finds processes in one more place: they are listed, no more, as they need not be configured alike. */
  meet(meeting: Meeting): void {
    this.#places.push(this.#placeOf(meeting, false))
    if (this.#places.length > 1) return
    this.#beating = this.#say().finally(() => this.#beatSoon())
  }

  /** From now on this process says what `describe` says. */
  describe(describe: () => MemberState): void {
    this.#describe = describe
  }

  /** Whether processes can know of each other at all. */
  get isShared(): boolean {
    return this.#places.length > 0
  }

  /** Whether what processes share works only between those that are configured alike. */
  get mustAgree(): boolean {
    return this.#places.some(({ mustAgree }) => mustAgree)
  }

  /** Why the others are not known in full now; empty while they are. */
  get problem(): string {
    return this.#problemOf(this.#places)
  }

  /** The same of those which must agree. */
  get outOfSight(): string {
    return this.#problemOf(this.#places.filter(({ mustAgree }) => mustAgree))
  }

  #problemOf(places: readonly Place[]): string {
    return places.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`])).join(' ')
  }

  /** A process that came before this one, is there, and is configured otherwise: found only after this one had joined. */
  get disagreement(): DisagreementError | undefined {
    for (const { id, member, isHeard } of this.#disagreeing())
      if (isHeard && id !== this.id && !member.joining) return this.#errorOf(member)
    return undefined
  }

  /** All that are there, this one first. */
  processes(): ClusterProcess[] {
    const now = this.#clock.now()
    const all = new Map<string, ClusterProcess>()
    for (const { roll, readAt } of this.#places) {
      for (const { id, member, silentMs } of roll.present) {
        const heardMs = Math.round(silentMs + now - readAt)
        const known = all.get(id)
        if (id !== this.id && (!known || known.heardMs > heardMs))
          all.set(id, { ...member, id, isSelf: false, heardMs })
      }
    }
    return [{ ...this.#member(), id: this.id, isSelf: true, heardMs: 0 }, ...all.values()]
  }

  /** Takes this process out, so that the others do not wait for it. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#timer?.cancel()
    await this.#beating
    await Promise.all(
      this.#places.map(async ({ members, roll, problem }) => {
        const own = roll.entryOf(this.id)
        // Where it cannot be taken out, the others miss its beats.
        if (own && problem === undefined) await members.forget(own).catch(() => {})
        members.close()
      }),
    )
  }

  // ── joining ────────────────────────────────────────────────────────────────────────────────────────────

  async #join(): Promise<void> {
    const end = this.#clock.now() + JOIN_MAX_MS
    await this.#say()
    // One that died a moment ago has left what it said: only one that says something new is there.
    for (let others = this.#disagreeing(); others.length > 0; others = this.#disagreeing()) {
      const living = others.find(({ isHeard, member }) => isHeard && !member.joining)
      if (living) throw this.#errorOf(living.member)
      if (this.#clock.now() > end) break
      await new Promise<void>((resolve) => this.#clock.after(JOIN_LOOK_MS, resolve))
      await this.#say()
    }
    this.#isJoining = false
  }

  /** Those that came first and have other terms. */
  #disagreeing(): Present[] {
    return this.#places.flatMap(({ roll, mustAgree }) => {
      if (!mustAgree) return []
      const own = roll.entryOf(this.id)?.order ?? 0
      return roll.present.filter(
        ({ order, member }) => order < own && differencesOf(this.#options.terms, member.terms).length > 0,
      )
    })
  }

  #errorOf(member: Member): DisagreementError {
    return new DisagreementError(differencesOf(this.#options.terms, member.terms), member)
  }

  // ── the beat ───────────────────────────────────────────────────────────────────────────────────────────

  #beatSoon(): void {
    if (this.#places.length === 0 || this.#closing.signal.aborted) return
    // Not all at once, where many were started together.
    this.#timer = this.#clock.after(this.#everyMs * (0.9 + 0.2 * this.#clock.random()), () => {
      this.#beating = this.#say().finally(() => this.#beatSoon())
    })
  }

  /** Says that it is there, and reads who else is, in every place. Never rejects. */
  async #say(): Promise<void> {
    this.#beat++
    const text = encodeMember(this.#member())
    await Promise.all(this.#places.map((place) => this.#sayIn(place, text)))
  }

  async #sayIn(place: Place, text: string): Promise<void> {
    try {
      const entries = await place.members.say(this.id, text)
      place.problem = undefined
      place.readAt = this.#clock.now()
      this.#forget(place, place.roll.read(entries, place.readAt))
    } catch (error) {
      place.problem = error instanceof Error ? error.message : String(error)
    }
  }

  /** What the dead have left is taken out by whoever sees it first. */
  #forget({ members }: Place, gone: readonly MemberEntry[]): void {
    for (const entry of gone) if (entry.id !== this.id) members.forget(entry).catch(() => {})
  }

  #placeOf({ name, members }: Meeting, mustAgree: boolean): Place {
    return { name, members, mustAgree, roll: new Roll(this.#everyMs), problem: undefined, readAt: this.#clock.now() }
  }

  #member(): Member {
    const { terms, version } = this.#options
    return {
      pid: process.pid,
      host: hostname().slice(0, 255),
      version,
      ...this.#describe(),
      uptimeMs: Math.round(this.#clock.now() - this.#startedAt),
      everyMs: this.#everyMs,
      beat: this.#beat,
      joining: this.#isJoining,
      terms,
    }
  }
}
