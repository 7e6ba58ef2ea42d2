import { PatternError } from '../errors.js'
import type { Target } from '../log/change.js'
import { Glob } from './glob.js'
import { Regex } from './regex.js'

export type PatternTarget = Extract<Target, { kind: 'pattern' }>

/** What a pattern says of keys. */
export interface Matcher {
  /** What every key that matches begins and ends with: an ordered index then finds those alone. */
  readonly prefix: string
  readonly suffix: string
  /** Whether all that begins with the prefix matches: nobody need look further. */
  readonly isPrefix: boolean
  /** `coarse`: it would take too long to say, so it counts as a match. */
  reach(key: string): 'none' | 'exact' | 'coarse'
  /** What `reach` takes for this key at most: 1 is about 10 ms, and no more is ever taken. */
  effort(key: string): number
}

/** No pattern that the log brings is read beyond this, whatever the options of the process that asked. */
export const PATTERN_LENGTH_MAX = 16_384

/** Steps of one match: about 10 ms, so that a slice of a sweep can't hold the event loop. */
const STEPS_MAX = { glob: 4_000_000, regex: 100_000 } as const
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

const ANY_KEY: Matcher = { prefix: '', suffix: '', isPrefix: false, reach: () => 'coarse', effort: () => 0 }

function bounded(pattern: Glob | Regex, stepsMax: number): Matcher {
  const lengthMax = stepsMax / pattern.width
  return {
    prefix: pattern.prefix,
    suffix: pattern.suffix,
    isPrefix: pattern instanceof Glob && pattern.isPrefix,
    reach: (key) => (key.length > lengthMax ? 'coarse' : pattern.matches(key) ? 'exact' : 'none'),
    effort: (key) => (key.length > lengthMax ? 0 : key.length / lengthMax),
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
