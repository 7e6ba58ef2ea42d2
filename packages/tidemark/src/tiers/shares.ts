import { enlarged, NONE } from '../arrays.js'
import type { Quota, QuotaBook } from './limits.js'

/** What a tenant has, and its slots that may be evicted, in the order of insertion. */
interface Share {
  readonly quota: Required<Quota>
  entries: number
  bytes: number
  newest: number
  oldest: number
  hand: number
}

interface Wanted {
  readonly entries: number
  readonly bytes: number
}

const NOTHING: Wanted = { entries: 0, bytes: 0 }
const UNLIMITED: Required<Quota> = { entries: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY }

/** What a tenant has of L1 in this process, and may have at most. */
export interface TenantUse {
  readonly tenant: string
  readonly entries: number
  readonly bytes: number
  /** Infinity: as much as L1 holds. */
  readonly quota: Required<Quota>
}

/** Where a slot's neighbours in its tenant's queue lie. */
const WIDTH = 2
const NEWER = 0
const OLDER = 1

/**
 * How much of L1 each tenant has. Where there is no room, a tenant that has more than its share gives it: its own entries leave, and
 * nobody else's, by the same hits and the same order as SIEVE has. Where there is room, a tenant may have all of it, up to its quota: that is
 * a number of its own, and what is beyond leaves at once, room or not.
 *
 * Cost: 8 bytes per slot; a hit costs nothing.
 */
export class Shares {
  readonly #limit: Wanted
  readonly #quotas: QuotaBook | undefined
  readonly #tenants = new Map<string, Share>()
  /** Those that have more than their share. */
  readonly #over = new Set<Share>()
  #queue = new Uint32Array(0)

  /** @param limit  one tenant's share */
  constructor(limit: Wanted, quotas?: QuotaBook) {
    this.#limit = limit
    this.#quotas = quotas
  }

  /** What each tenant has that has anything. */
  uses(): TenantUse[] {
    return [...this.#tenants].map(([tenant, { entries, bytes, quota }]) => ({ tenant, entries, bytes, quota }))
  }

  /** A slot has a new entry of the tenant, which may be evicted. */
  add(slot: number, tenant: string): void {
    let share = this.#tenants.get(tenant)
    if (!share) {
      share = { quota: this.#quotaOf(tenant), entries: 0, bytes: 0, newest: NONE, oldest: NONE, hand: NONE }
      this.#tenants.set(tenant, share)
    }
    this.#link(share, slot)
    this.#count(tenant, share, 1, 0)
  }

  /** The entry is gone. */
  remove(slot: number, tenant: string, bytes: number, isPinned: boolean): void {
    const share = this.#tenants.get(tenant)!
    if (!isPinned) this.#unlink(share, slot)
    this.#count(tenant, share, -1, -bytes)
  }

  /** The tenant's entries have become so much larger. */
  resized(tenant: string, bytes: number): void {
    this.#count(tenant, this.#tenants.get(tenant)!, 0, bytes)
  }

  /** The entry must stay, until `unpin`. */
  pin(slot: number, tenant: string): void {
    this.#unlink(this.#tenants.get(tenant)!, slot)
  }

  unpin(slot: number, tenant: string): void {
    this.#link(this.#tenants.get(tenant)!, slot)
  }

  /**
   * The entry that leaves next for one of this tenant's: its own if it has, or would have, more than its share, else one of somebody who
   * has; -1 if nobody has more.
   *
   * @param wanted   entries and bytes that are to come
   * @param takeHit  says whether the slot was read since it was asked last
   */
  victim(tenant: string, wanted: Wanted, takeHit: (slot: number) => boolean): number {
    const own = this.#tenants.get(tenant)
    const victim = own && this.#isOver(own, wanted) ? this.#victimOf(own, takeHit) : -1
    if (victim !== -1) return victim
    for (const share of this.#over) {
      const other = this.#victimOf(share, takeHit)
      if (other !== -1) return other
    }
    return -1
  }

  /** Whether a tenant may have an entry of so many bytes at all. */
  canHold(tenant: string, bytes: number): boolean {
    return bytes <= this.#quotaOf(tenant).bytes
  }

  /** Whether the tenant would have more than its quota with so much more. */
  isOverQuota(tenant: string, entries: number, bytes: number): boolean {
    if (this.#quotas === undefined) return false
    const { quota, ...own } = this.#tenants.get(tenant) ?? { quota: this.#quotaOf(tenant), entries: 0, bytes: 0 }
    return own.entries + entries > quota.entries || own.bytes + bytes > quota.bytes
  }

  /** The tenant's own entry that leaves next; -1 if all that it has must stay. */
  ownVictim(tenant: string, takeHit: (slot: number) => boolean): number {
    const own = this.#tenants.get(tenant)
    return own === undefined ? -1 : this.#victimOf(own, takeHit)
  }

  resize(capacity: number): void {
    this.#queue = enlarged(this.#queue, capacity * WIDTH)
  }

  clear(): void {
    this.#tenants.clear()
    this.#over.clear()
    this.#queue = new Uint32Array(0)
  }

  #quotaOf(tenant: string): Required<Quota> {
    return this.#quotas === undefined ? UNLIMITED : (this.#quotas.tenants.get(tenant) ?? this.#quotas.default)
  }

  #victimOf(share: Share, takeHit: (slot: number) => boolean): number {
    let hand = share.hand === NONE ? share.oldest : share.hand
    if (hand === NONE) return -1
    while (takeHit(hand)) {
      hand = this.#queue[hand * WIDTH + NEWER]!
      if (hand === NONE) hand = share.oldest
    }
    share.hand = hand
    return hand
  }

  #count(tenant: string, share: Share, entries: number, bytes: number): void {
    share.entries += entries
    share.bytes += bytes
    if (this.#isOver(share, NOTHING)) this.#over.add(share)
    else this.#over.delete(share)
    if (share.entries === 0) this.#tenants.delete(tenant)
  }

  #isOver(share: Share, wanted: Wanted): boolean {
    const { entries, bytes } = this.#limit
    return share.entries + wanted.entries > entries || share.bytes + wanted.bytes > bytes
  }

  #link(share: Share, slot: number): void {
    this.#queue[slot * WIDTH + NEWER] = NONE
    this.#queue[slot * WIDTH + OLDER] = share.newest
    if (share.newest === NONE) share.oldest = slot
    else this.#queue[share.newest * WIDTH + NEWER] = slot
    share.newest = slot
  }

  #unlink(share: Share, slot: number): void {
    const newer = this.#queue[slot * WIDTH + NEWER]!
    const older = this.#queue[slot * WIDTH + OLDER]!
    if (newer === NONE) share.newest = older
    else this.#queue[newer * WIDTH + OLDER] = older
    if (older === NONE) share.oldest = newer
    else this.#queue[older * WIDTH + NEWER] = newer
    if (share.hand === slot) share.hand = newer
  }
}
