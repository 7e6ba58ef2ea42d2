import { createHmac } from 'node:crypto'
import { milliseconds } from 'tidemark'
import type { Config } from '../config/config.js'

/** What must be the same in all processes that share anything, by the name of its setting. */
export type Terms = Readonly<Record<string, string | number | null>>

/** A setting that two processes have differently. */
export interface Difference {
  readonly setting: string
  readonly here: string | number | null
  readonly there: string | number | null
}

const FINGERPRINT_LENGTH = 12

/**
 * The terms of a configuration, with the defaults of what it leaves out.
 *
 * - `source.publication`, `source.slot`, `source.follow`: which tables are followed, and who reads the log for all
 * - `l2.name`, `relay.stream`: what is shared; null where it is not
 * - `relay.secret`: a fingerprint, never the secret itself; null where there is none
 * - `cache.maxSilence`: in ms; how soon whoever is told nothing stops calling answers fresh
 */
export function termsOf({ source, cache, l2, relay }: Config): Terms {
  return {
    'source.publication': source.publication ?? 'tidemark',
    'source.slot': source.slot ?? null,
    'source.follow': source.follow,
    'l2.name': l2.redis === undefined ? null : (l2.name ?? 'tidemark'),
    'relay.stream': relay.redis === undefined ? null : (relay.stream ?? 'tidemark:relay'),
    'relay.secret': relay.secret === undefined ? null : fingerprint(relay.secret),
    'cache.maxSilence': milliseconds(cache.maxSilence ?? '5s', 'maxSilence'),
  }
}

/** What two processes have differently. A setting that only one of them knows is of another version, and is not compared. */
export function differencesOf(here: Terms, there: Terms): Difference[] {
  return Object.keys(here)
    .filter((setting) => Object.hasOwn(there, setting) && here[setting] !== there[setting])
    .map((setting) => ({ setting, here: here[setting]!, there: there[setting]! }))
}

function fingerprint(secret: string): string {
  return createHmac('sha256', secret).update('tidemark cluster').digest('base64url').slice(0, FINGERPRINT_LENGTH)
}
