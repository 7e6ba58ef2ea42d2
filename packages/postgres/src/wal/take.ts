import type { Client } from 'pg'
import { type Clock, isStartSeen, type TidemarkError } from 'tidemark'
import type { SqlConnection } from './connection.js'
import { isRestartOf } from './epoch.js'
import { NoSlotError } from './errors.js'
import type { Place } from './following.js'
import type { Mark, Marks } from './marks.js'
import type { Server } from './server.js'
import type { SharedSlot } from './shared-slot.js'
import { createSlot, dropSlot, type Slot, watchSlotWait } from './slot.js'
import { gaveUp } from './slot-watch.js'
import type { Tables } from './tables.js'
import type { Visibility } from './visibility.js'

/** A slot from which the log is taken up. */
export interface Taken {
  readonly slot: Slot
  /** Nothing is missing since it was lost. */
  readonly isResumed: boolean
  /** What was filled before it was written is kept, if the log delivers it again. */
  readonly mark?: Mark
}

/** What is known from before the log was lost. */
export interface Before {
  /** Where it was lost, while it may go on there. */
  readonly place: Place | undefined
  /** The shared slot sends what can't be read. */
  readonly isUnreadable: boolean
}

export interface TakeOptions {
  readonly sql: SqlConnection
  readonly probes: SqlConnection
  readonly clock: Clock
  readonly shared: SharedSlot | undefined
  readonly tables: Tables
  readonly visibility: Visibility
  readonly marks: Marks
  tell(problem: TidemarkError): void
  /** The creation of a slot waits for somebody's transaction. */
  waits(reason: string): void
}

/** Finds, or makes, the slot from which the log is taken up: the shared one where it is to be had, else one of this process. */
export class Take {
  readonly #options: TakeOptions

  constructor(options: TakeOptions) {
    this.#options = options
  }

  /** After the publication was looked at. Takes as long as the oldest open transaction where a slot is made. */
  async slot(replication: Client, server: Server, before: Before): Promise<Taken> {
    return (await this.#shared(server, before)) ?? (await this.#own(replication, server))
  }

  async #own(replication: Client, server: Server): Promise<Taken> {
    const slot = await this.#create(replication, server)
    const { tables, shared } = this.#options
    tables.slotCreated()
    const made = shared && (await this.#make(shared, replication, slot))
    return { slot: made ?? slot, isResumed: false }
  }

  /** Makes the shared slot where there is none, if all before this new one can be seen; else it is made while that is followed. */
  async #make(shared: SharedSlot, replication: Client, own: Slot): Promise<Slot | undefined> {
    if ((await shared.look()).state !== 'missing') return undefined
    const { snapshot } = await this.#options.visibility.probe()
    if (!isStartSeen(own.proof, snapshot)) return undefined
    try {
      const lsn = await shared.copy(own.name)
      if (lsn === undefined) return undefined
      await dropSlot(replication, own)
      return { name: shared.name, lsn, proof: { kind: 'visible' } }
    } catch (error) {
      if (!(error instanceof NoSlotError)) throw error
      this.#options.tell(error)
      return undefined
    }
  }

  /** The shared slot, if it is to be had; undefined where there is none, or another process holds it. */
  async #shared(server: Server, { place, isUnreadable }: Before): Promise<Taken | undefined> {
    const { shared, tables, visibility, marks, tell } = this.#options
    if (!shared) return undefined
    let look = await shared.look()
    if (look.reason !== '' || (isUnreadable && !look.isActive && look.state !== 'missing')) {
      tell(gaveUp(shared.name, look.reason || 'it can not be read any further, or is older than the publication'))
      await shared.drop()
      look = await shared.look()
    }
    if (look.isActive || look.state === 'missing') return undefined
    const { name } = shared
    // Only what is proven was acknowledged: whatever it does not deliver can be seen.
    const proof = { kind: 'visible' } as const
    // Files are replaced under a stopped server only: in the same run of it the slot's place says whether something is missing.
    if (place?.epoch === server.epoch && look.lsn <= place.lsn && tables.resume(place.tables))
      return { slot: { name, lsn: place.lsn, sentFrom: look.lsn, proof }, isResumed: true }
    const { flushed } = await visibility.probe()
    const mark = marks.newest
    if (place && mark && isRestartOf(place.epoch, server.epoch) && look.lsn < mark.lsn && mark.lsn <= flushed) {
      if (tables.resume(place.tables))
        return { slot: { name, lsn: mark.lsn, sentFrom: look.lsn, proof }, isResumed: false, mark }
    }
    await tables.slotFound()
    return { slot: { name, lsn: look.lsn, proof }, isResumed: false }
  }

  async #create(replication: Client, server: Server): Promise<Slot> {
    const { sql, probes, clock, waits } = this.#options
    const created = new AbortController()
    const watching = watchSlotWait(probes, server, clock, created.signal, waits)
    try {
      return await createSlot(replication, sql)
    } finally {
      created.abort()
      await watching
    }
  }
}
