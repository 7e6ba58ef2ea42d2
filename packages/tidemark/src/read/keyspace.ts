import { ByKey } from '../by-key.js'
import { slotText } from '../keys.js'
import type { Session } from '../source.js'
import type { Watch } from '../streams/watch.js'
import { type SlotKey, Space } from '../tiers/space.js'
import type { Flight } from './flight.js'

/** The keys of one definition (or of plain `get` calls) in one tenant and session: entries, running fills and watches. */
export class Keyspace extends Space {
  /** The definition's name; undefined for `get` keys. */
  readonly name: string | undefined
  readonly session: Session | undefined
  readonly flights = new ByKey<SlotKey, Flight>()
  readonly watches = new Map<SlotKey, Watch>()
  /** Reads that hold this space across an await. */
  asking = 0
  /** How long its loads take, in ms: the later ones count more. Undefined before the first. */
  loadMs: number | undefined

  constructor(tenant: string, name: string | undefined, session: Session | undefined) {
    super(tenant, name === undefined ? String : (key) => `${name}(${slotText(key)})`)
    this.name = name
    this.session = session
  }

  loaded(ms: number): void {
    this.loadMs = this.loadMs === undefined ? ms : this.loadMs + (ms - this.loadMs) / 8
  }

  /** Nothing is stored, runs or is watched here: the space can be forgotten. */
  get isIdle(): boolean {
    const isEmpty = this.slots.size === 0 && this.formers.length === 0
    return this.asking === 0 && isEmpty && this.flights.size === 0 && this.watches.size === 0
  }
}
