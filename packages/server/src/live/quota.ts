import { StreamLimitError } from '../errors.js'

export interface QuotaLimits {
  readonly streamsMax: number
  readonly streamsPerAddressMax: number
  readonly streamsPerTenantMax: number
  /** Of tenants of whom another number is said. */
  readonly streamsOfTenantMax?: (tenant: string) => number | undefined
}

/** Who a stream, a socket or a subscription is counted for; a socket counts for its principal, and each of its subscriptions for a tenant. */
export interface Seats {
  /** This server. */
  readonly server?: true
  readonly address?: string
  readonly principal?: string
  readonly tenant?: string
}

/** How much is open at once: in all, from one address, of one principal, of one tenant. */
export class Quota {
  readonly #limits: QuotaLimits
  readonly #taken = new Map<string, number>()
  /** How often there was no room. */
  refused = 0

  constructor(limits: QuotaLimits) {
    this.#limits = limits
  }

  /**
   * Counts one more, for all of them or none.
   *
   * @returns how to count it no longer; again does nothing
   * @throws StreamLimitError (`TIDEMARK_STREAM_LIMIT`)
   */
  take(seats: Seats): () => void {
    const names = Object.entries(seats).map(([kind, name]) => `${kind} ${name}`)
    for (const [at, kind] of (Object.keys(seats) as (keyof Seats)[]).entries()) {
      const { max, told } = this.#limitOf(kind, seats)
      if ((this.#taken.get(names[at]!) ?? 0) < max) continue
      this.refused++
      throw new StreamLimitError(told)
    }
    for (const name of names) this.#taken.set(name, (this.#taken.get(name) ?? 0) + 1)
    let isTaken = true
    return () => {
      if (isTaken) for (const name of names) this.#leave(name)
      isTaken = false
    }
  }

  #leave(name: string): void {
    const left = this.#taken.get(name)! - 1
    if (left === 0) this.#taken.delete(name)
    else this.#taken.set(name, left)
  }

  #limitOf(kind: keyof Seats, { tenant = '' }: Seats): { readonly max: number; readonly told: string } {
    const { streamsMax, streamsPerAddressMax, streamsPerTenantMax, streamsOfTenantMax } = this.#limits
    const tenantMax = streamsOfTenantMax?.(tenant) ?? streamsPerTenantMax
    switch (kind) {
      case 'server':
        return {
          max: streamsMax,
          told: `This server has ${streamsMax} streams open, its limit. Ask again later, ask another one, or raise server.streams.`,
        }
      case 'address':
        return {
          max: streamsPerAddressMax,
          told: `Your address has ${streamsPerAddressMax} streams open, its limit. Close some, or raise server.streamsPerAddress.`,
        }
      case 'principal':
        return {
          max: streamsPerTenantMax,
          told: `You have ${streamsPerTenantMax} sockets open, the limit. Close some, or raise limits.streams.`,
        }
      case 'tenant':
        return {
          max: tenantMax,
          told: `This tenant has ${tenantMax} streams open, its limit. Close some, or raise limits.streams.`,
        }
      default:
        return kind satisfies never
    }
  }
}
