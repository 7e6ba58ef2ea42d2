import type { Answer } from '../answer.js'
import type { SlotKey } from '../tiers/space.js'
import { copyOf } from '../values.js'
import { type Fill, Inherited } from './fill.js'
import type { Floor } from './floor.js'
import type { Keeper } from './keep.js'
import type { Keyspace } from './keyspace.js'
import type { Landed } from './reader.js'
import type { Request } from './request.js'

/** What readers are told of what L1 holds, or of what a flight has landed with. */
export class Answers {
  readonly #keeper: Keeper

  constructor(keeper: Keeper) {
    this.#keeper = keeper
  }

  /** What L1 holds. A fresh entry is valid as of the tidemark now, however long ago it was filled: nothing since touched it. */
  stored(slot: number, state: 'fresh' | 'stale'): Answer<unknown> {
    const { l1, follower } = this.#keeper
    const asOf = state === 'fresh' ? follower.position : this.#position(l1.lsnOf(slot))
    const filledAt = this.#wall(l1.filledAtOf(slot))
    return { value: l1.read(slot), state, from: 'l1', asOf, filledAt }
  }

  landed(landed: Landed, isJoined: boolean, floor: Floor | undefined): Answer<unknown> {
    const state = floor?.isFromSource ? 'fenced' : landed.state
    const asOf = state === 'fresh' && landed.asOf !== undefined ? this.#position(landed.asOf) : undefined
    const { value, isCopied, from, filledAt } = landed.kept
    const own = isCopied ? copyOf(value) : value
    return { value: own, state, from: isJoined ? 'joined' : from, asOf, filledAt: this.#wall(filledAt) }
  }

  counted(answer: Answer<unknown>): Answer<unknown> {
    if (answer.state === 'stale') this.#keeper.counters.stale++
    else if (answer.state === 'fenced') this.#keeper.counters.fenced++
    return answer
  }

  /** Counts the answer, and hands what it was computed from to the entry whose loader asked. */
  given(
    answer: Answer<unknown>,
    landed: Landed | undefined,
    request: Request,
    reader: Fill | undefined,
  ): Answer<unknown> {
    this.counted(answer)
    const unkept = answer.state === 'fresh' ? undefined : answer.state
    if (reader && landed) this.inheritLanded(reader, request, landed, unkept)
    else if (reader) {
      const { space, key } = request
      this.inheritStored(reader, space, key, space.slots.get(key)!, unkept)
    }
    return answer
  }

  inheritLanded(reader: Fill, { space, key }: Request, { kept }: Landed, unkept: 'stale' | 'fenced' | undefined): void {
    const { dependencies, areHanded, filledAt, lifetimeMs } = kept
    const expiresAt = filledAt + lifetimeMs
    reader.inherit(new Inherited(space.tenant, space.text(key), dependencies, areHanded, expiresAt, unkept))
  }

  inheritStored(
    reader: Fill,
    space: Keyspace,
    key: SlotKey,
    slot: number,
    unkept: 'stale' | 'fenced' | undefined,
  ): void {
    const { l1 } = this.#keeper
    const dependencies = l1.index.handedOf(slot)
    reader.inherit(new Inherited(space.tenant, space.text(key), dependencies, true, l1.expiresAtOf(slot), unkept))
  }

  #position(lsn: number): string | undefined {
    return this.#keeper.follower.epoch === undefined ? undefined : this.#keeper.follower.positionAt(lsn)
  }

  #wall(mono: number): number {
    const { clock } = this.#keeper
    return Math.round(clock.wall() - (clock.now() - mono))
  }
}
