import { OptionError } from '../errors.js'
import { countOf, namesOf } from '../options.js'

/** What L1 holds at most. */
export interface L1Limits {
  /** At most 2^24 - 1: a Map holds no more. */
  readonly maxEntries: number
  readonly maxBytes: number
  /** How much of both a tenant may have while others need room: 1 (the default) for all of it. */
  readonly tenantShare?: number
  /** How much each may have in any case. Default: no limit but those above. */
  readonly quotas?: QuotaBook | undefined
}

/** What a tenant may have of L1 in one process. Default: no limit but that of L1. */
export interface Quota {
  readonly entries?: number
  /** Approximate size of keys and values. */
  readonly bytes?: number
}

/** `default` is for each tenant that `tenants` does not name; what a tenant's own quota leaves out is as `default` says. */
export interface Quotas {
  readonly default?: Quota
  readonly tenants?: Readonly<Record<string, Quota>>
}

/** Checked, with nothing left out. */
export interface QuotaBook {
  readonly default: Required<Quota>
  readonly tenants: ReadonlyMap<string, Required<Quota>>
}

const NONE: Required<Quota> = { entries: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY }

/** @returns undefined where no tenant has a quota @throws OptionError */
export function quotaBookOf(quotas: Quotas | undefined): QuotaBook | undefined {
  if (quotas === undefined) return undefined
  namesOf(quotas, ['default', 'tenants'], 'l1.quotas')
  const standard = quotaOf(quotas.default ?? {}, 'l1.quotas.default', NONE)
  const { tenants = {} } = quotas
  if (typeof tenants !== 'object' || tenants === null)
    throw new OptionError('l1.quotas.tenants is an object: names of tenants, and what each may have.')
  const named = Object.entries(tenants).map(
    ([tenant, quota]) => [tenant, quotaOf(quota, 'l1.quotas.tenants', standard)] as const,
  )
  if (named.length === 0 && standard.entries === NONE.entries && standard.bytes === NONE.bytes) return undefined
  return { default: standard, tenants: new Map(named) }
}

function quotaOf(quota: Quota, name: string, standard: Required<Quota>): Required<Quota> {
  namesOf(quota, ['entries', 'bytes'], name)
  return {
    entries: countOf(quota.entries, `${name}.entries`, standard.entries),
    bytes: countOf(quota.bytes, `${name}.bytes`, standard.bytes),
  }
}
