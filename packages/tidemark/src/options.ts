import type { CallOptions, EntryOptions } from './definition.js'
import { milliseconds } from './duration.js'
import { OptionError } from './errors.js'

/** Entry options, checked once and in ms: what a read and a fill look at. */
export interface Policy {
  readonly ttlMs: number
  readonly jitter: number
  readonly earlyRefresh: number
  readonly graceRefillMs: number
  readonly graceFailureMs: number
  readonly softTimeoutMs: number
  readonly hardTimeoutMs: number
  readonly tags: readonly string[]
  readonly isStatic: boolean
  readonly sourceLagMs: number
  readonly isCloned: boolean
  readonly version: string
}

/** The options of entries. */
export const ENTRY_OPTIONS = [
  'ttl',
  'jitter',
  'earlyRefresh',
  'grace',
  'softTimeout',
  'hardTimeout',
  'tags',
  'static',
  'sourceLag',
  'values',
  'version',
] as const satisfies readonly (keyof EntryOptions)[]

/** The options of one call. */
export const CALL_OPTIONS = [
  'minPosition',
  'shows',
  'waitMax',
  'signal',
] as const satisfies readonly (keyof CallOptions)[]

const GET_OPTIONS = [...ENTRY_OPTIONS, ...CALL_OPTIONS]
const TAGS_MAX = 1_000
const TAG_LENGTH_MAX = 1_024
const VERSION_LENGTH_MAX = 1_024

/**
 * Checks entry options and fills in the defaults.
 *
 * @param unfollowedTtlMs  the expiry where none is given; Infinity where the source is followed
 * @throws OptionError (`TIDEMARK_OPTION`) naming the option and what it may be
 */
export function policyOf(options: EntryOptions, unfollowedTtlMs: number): Policy {
  namesOf(options, GET_OPTIONS, 'an entry')
  const duration = (value: EntryOptions['ttl'], name: string, missing: number): number =>
    value === undefined ? missing : milliseconds(value, name)
  const grace = typeof options.grace === 'object' ? options.grace : { refill: options.grace, failure: options.grace }
  namesOf(grace, ['refill', 'failure'], 'grace')
  return {
    ttlMs: duration(options.ttl, 'ttl', unfollowedTtlMs),
    jitter: fraction(options.jitter, 'jitter'),
    earlyRefresh: fraction(options.earlyRefresh, 'earlyRefresh'),
    graceRefillMs: duration(grace.refill, 'grace.refill', 0),
    graceFailureMs: duration(grace.failure, 'grace.failure', 0),
    softTimeoutMs: duration(options.softTimeout, 'softTimeout', 0),
    hardTimeoutMs: duration(options.hardTimeout, 'hardTimeout', 30_000),
    tags: [...tagsOf(options.tags ?? [])],
    isStatic: oneOf(options.static, 'static', [true, false]) === true,
    sourceLagMs: duration(options.sourceLag, 'sourceLag', 0),
    isCloned: oneOf(options.values, 'values', ['frozen', 'cloned']) === 'cloned',
    version: versionOf(options.version),
  }
}

/** Checks that an object of options has these names only. @throws OptionError */
export function namesOf(options: object, names: readonly string[], what: string): void {
  if (typeof options !== 'object' || options === null)
    throw new OptionError(`The options of ${what} are an object: ${names.join(', ')}.`)
  for (const name of Object.keys(options)) {
    if (!names.includes(name))
      throw new OptionError(`There is no option '${name}' of ${what}. There are ${names.join(', ')}.`)
  }
}

/** Checks tags: non-empty strings. @throws OptionError */
export function tagsOf(tags: readonly string[]): readonly string[] {
  if (
    !Array.isArray(tags) ||
    tags.length > TAGS_MAX ||
    tags.some((tag) => typeof tag !== 'string' || tag === '' || tag.length > TAG_LENGTH_MAX)
  ) {
    throw new OptionError(
      `tags must be an array of at most ${TAGS_MAX} non-empty strings of at most ${TAG_LENGTH_MAX} characters.`,
    )
  }
  return tags
}

function versionOf(version: string | undefined): string {
  if (version === undefined) return ''
  if (typeof version === 'string' && version.length <= VERSION_LENGTH_MAX) return version
  throw new OptionError(`version must be a text of at most ${VERSION_LENGTH_MAX} characters.`)
}

/** A count that an option gives. @throws OptionError */
export function countOf(value: number | undefined, name: string, missing: number): number {
  if (value === undefined) return missing
  if ((Number.isInteger(value) && value >= 1) || value === Number.POSITIVE_INFINITY) return value
  throw new OptionError(`${name} must be a whole number >= 1, or Infinity.`)
}

function fraction(value: number | undefined, name: string): number {
  if (value === undefined) return 0
  if (typeof value === 'number' && value >= 0 && value < 1) return value
  throw new OptionError(`${name} must be a number from 0 up to, but not including, 1: a fraction of ttl.`)
}

function oneOf<Choice extends string | boolean>(
  value: Choice | undefined,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  if (value === undefined || choices.includes(value)) return value
  throw new OptionError(`${name} must be one of: ${choices.join(', ')}.`)
}
