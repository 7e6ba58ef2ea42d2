import type { MemberEntry } from '@tidemark/redis'
import { decodeMember, type Member } from './member.js'

/** A process as it was read last. */
export interface Present {
  readonly id: string
  readonly order: number
  readonly member: Member
  /** Whether it has said something since it was first read here. Else it may have died before. */
  readonly isHeard: boolean
  /** For how long it has said nothing new, as far as that was watched. */
  readonly silentMs: number
}

interface Known {
  entry: MemberEntry
  member: Member | undefined
  isHeard: boolean
  silentMs: number
}

/** After so many missed beats a process counts as gone. */
const MISSED_MAX = 3.5
/** What can't be read says nothing of its beat either. */
const UNREADABLE_EVERY_MS = 2_000

/**
 * Who is there, of those who were read in a place. Decided by whether they say something new while this process watches, by its own
 * monotonic clock: no clock of others counts, and no time in which nothing could be read.
 */
export class Roll {
  readonly #known = new Map<string, Known>()
  readonly #watchedMaxMs: number
  #readAt: number | undefined

  /** @param everyMs  how often it is read; what is longer between two reads was not watched */
  constructor(everyMs: number) {
    this.#watchedMaxMs = 1.5 * everyMs
  }

  /**
   * Takes in what all have said.
   *
   * @param now  monotonic ms
   * @returns those that are gone now, to be taken out; they are not listed any more
   */
  read(entries: readonly MemberEntry[], now: number): MemberEntry[] {
    const watchedMs = this.#readAt === undefined ? 0 : Math.min(now - this.#readAt, this.#watchedMaxMs)
    this.#readAt = now
    const ids = new Set(entries.map(({ id }) => id))
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id)
    const gone: MemberEntry[] = []
    for (const entry of entries) {
      const known = this.#known.get(entry.id)
      if (!known) this.#known.set(entry.id, { ...partsOf(entry), isHeard: false, silentMs: 0 })
      else if (known.entry.text !== entry.text) Object.assign(known, partsOf(entry), { isHeard: true, silentMs: 0 })
      else {
        known.silentMs += watchedMs
        if (known.silentMs > MISSED_MAX * (known.member?.everyMs ?? UNREADABLE_EVERY_MS)) gone.push(entry)
      }
    }
    // They stay known until they are taken out: one that is read again unchanged is still gone.
    return gone
  }

  /** Those that can be read and are not gone, in the order in which they came. */
  get present(): Present[] {
    const present: Present[] = []
    for (const { entry, member, isHeard, silentMs } of this.#known.values()) {
      if (!member || silentMs > MISSED_MAX * member.everyMs) continue
      present.push({ id: entry.id, order: entry.order, member, isHeard, silentMs })
    }
    return present.sort((one, other) => one.order - other.order)
  }

  /** What a process said last. */
  entryOf(id: string): MemberEntry | undefined {
    return this.#known.get(id)?.entry
  }
}

function partsOf(entry: MemberEntry): Pick<Known, 'entry' | 'member'> {
  return { entry, member: decodeMember(entry.text) }
}
