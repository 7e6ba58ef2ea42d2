import { PatternError } from '../errors.js'
import type { Target } from '../log/change.js'
import type { Alphabet } from './alphabet.js'
import { Automaton, type Texts } from './automaton.js'
import { Glob } from './glob.js'
import { Regex } from './regex.js'
import { Required } from './required.js'

export type PatternTarget = Extract<Target, { kind: 'pattern' }>

/** `coarse`: it would take too long to say, so it counts as a match. */
export type Reach = 'none' | 'exact' | 'coarse'

/** What a pattern says of keys that begin alike. */
export interface Among {
  /** The same of all of them; undefined: that depends. */
  readonly ofAll: 'none' | 'exact' | undefined
  /** And of all keys that begin with so much of the beginning; undefined: that is not known. */
  readonly enough: number | undefined
  /** Puts the places of those that match into `found`. Returns where it ended, which may be before the last. */
  find(keys: Texts, found: number[]): number
}

/** What a pattern says of keys. */
export interface Matcher {
  /** What every key that matches begins and ends with: an ordered index then finds those alone. */
  readonly prefix: string
  readonly suffix: string
  /** Whether all that begins with the prefix matches: nobody need look further. */
  readonly isPrefix: boolean
  reach(key: string): Reach
  /**
   * Of keys that begin so: that is looked at once for all.
   *
   * @param alphabet  what they are made of behind that, if it is known
   */
  begin(beginning: string, alphabet?: Alphabet): Among
  /** What `reach` takes for this key at most: 1 is about 10 ms, and no more is ever taken. */
  effort(key: string): number
}

/** No pattern that the log brings is read beyond this, whatever the options of the process that asked. */
export const PATTERN_LENGTH_MAX = 16_384

/** Steps of one match: about 10 ms, so that a slice of a sweep can't hold the event loop. */
const STEPS_MAX = { glob: 4_000_000, regex: 100_000 } as const
/** Characters that an automaton reads in as long. */
const LENGTH_MAX = 4_000_000
const COMPILED_MAX = 1_000

/** Compiled patterns, those that were used last at the end. */
const compiled = new Map<string, Matcher>()

/**
 * The compiled form of a pattern, from a cache of the last 1,000.
 *
 * @throws PatternError (`TIDEMARK_PATTERN`), with the place
 */
export function compilePattern({ syntax, pattern }: Pick<PatternTarget, 'syntax' | 'pattern'>): Matcher {
  const name = `${syntax} ${pattern}`
  let matcher = compiled.get(name)
  if (matcher) {
    if (compiled.size < COMPILED_MAX) return matcher
    compiled.delete(name)
  }
  matcher ??= bounded(syntax === 'glob' ? new Glob(pattern) : new Regex(pattern), STEPS_MAX[syntax])
  compiled.set(name, matcher)
  if (compiled.size > COMPILED_MAX) for (const oldest of compiled.keys()) if (compiled.delete(oldest)) break
  return matcher
}

/** The same for a pattern that the log brought: what this version cannot read may mean any key. */
export function matcherOf(target: PatternTarget): Matcher {
  if (target.pattern.length > PATTERN_LENGTH_MAX) return ANY_KEY
  try {
    return compilePattern(target)
  } catch (error) {
    if (error instanceof PatternError) return ANY_KEY
    throw error
  }
}

const ANY_KEY: Matcher = {
  prefix: '',
  suffix: '',
  isPrefix: false,
  reach: () => 'coarse',
  begin: () => oneByOne(() => true),
  effort: () => 0,
}

function bounded(pattern: Glob | Regex, stepsMax: number): Matcher {
  const { prefix, suffix, isPrefix } = pattern
  const lengthMax = stepsMax / pattern.width
  const automaton = pattern.expression && Automaton.of(pattern.expression)
  const required = pattern.expression && Required.of(pattern.expression)
  const reach = (key: string): Reach => {
    if (required?.isMissingIn(key)) return 'none'
    const isFound = automaton?.matches(key)
    if (isFound === undefined && key.length > lengthMax) return 'coarse'
    return (isFound ?? pattern.matches(key)) ? 'exact' : 'none'
  }
  const matches = (key: string): boolean => reach(key) !== 'none'
  return {
    prefix,
    suffix,
    isPrefix: isPrefix || (prefix !== '' && isFoundBehind(automaton, prefix)),
    reach,
    begin(beginning, alphabet) {
      if (!automaton) return oneByOne(matches)
      const begun = automaton.begin(beginning, alphabet)
      const { ofAll, isFinal } = begun
      return {
        ofAll: ofAll === undefined ? undefined : ofAll ? 'exact' : 'none',
        enough: isFinal ? begun.length : undefined,
        find: (keys, found) => automaton.find(keys, begun, found, { matches, required }),
      }
    },
    effort(key) {
      if (automaton?.isSpent === false) return key.length / LENGTH_MAX
      return key.length > lengthMax ? 0 : key.length / lengthMax
    },
  }
}

function isFoundBehind(automaton: Automaton | undefined, prefix: string): boolean {
  const begun = automaton?.begin(prefix)
  return begun?.isFinal === true && begun.ofAll === true
}

/** Each is looked at from its beginning. */
function oneByOne(matches: (key: string) => boolean): Among {
  return {
    ofAll: undefined,
    enough: undefined,
    find({ texts, from }, found) {
      if (matches(texts[from]!)) found.push(from)
      return from + 1
    },
  }
}

/** Whether a target names a key of a tenant. Pure. */
export function reachOfKey(target: Target, tenant: string, key: string): 'none' | 'exact' | 'coarse' {
  switch (target.kind) {
    case 'tag':
      return 'none'
    case 'key':
      return target.tenant === tenant && target.key === key ? 'exact' : 'none'
    case 'pattern':
      return target.tenant === tenant ? matcherOf(target).reach(key) : 'none'
    case 'tenant':
      return target.tenant === tenant ? 'exact' : 'none'
    case 'everything':
      return 'exact'
    default:
      target satisfies never
      return 'coarse'
  }
}
