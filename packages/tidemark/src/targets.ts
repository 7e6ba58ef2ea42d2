import type { CountOptions, Invalidation, Named, Pattern, PreviewOptions } from './cache.js'
import { Glob } from './dependencies/glob.js'
import { compilePattern, matcherOf, PATTERN_LENGTH_MAX } from './dependencies/pattern.js'
import { OptionError, PatternError } from './errors.js'
import { BY_MAX, type By, isByPart } from './log/by.js'
import type { Mode, Target } from './log/change.js'
import { namesOf, tagsOf } from './options.js'

/** Limits of the patterns of one request. */
export interface PatternLimits {
  /** Characters of one pattern. */
  readonly maxLength: number
  readonly maxCount: number
}

const NAMED = ['keys', 'tags', 'pattern', 'all'] as const satisfies readonly (keyof Named)[]
const INVALIDATION = [
  ...NAMED,
  'allowNothing',
  'mode',
  'by',
  'signal',
] as const satisfies readonly (keyof Invalidation)[]

/**
 * What a request names, as the log has it.
 *
 * @throws OptionError (`TIDEMARK_OPTION`), PatternError (`TIDEMARK_PATTERN`)
 */
export function targetsOf(named: Named, tenant: string, limits: PatternLimits): Target[] {
  const { keys = [], tags = [], pattern = [], all } = named
  if (!Array.isArray(keys) || keys.some((key) => typeof key !== 'string')) {
    throw new OptionError("keys must be an array of keys' text forms, like 'post(42)' or a plain get key.")
  }
  if (all !== undefined && all !== 'tenant' && all !== 'everything')
    throw new OptionError("all must be 'tenant' (all of this tenant) or 'everything' (of every tenant).")
  const patterns = Array.isArray(pattern) ? (pattern as readonly Pattern[]) : [pattern as Pattern]
  if (patterns.length > limits.maxCount)
    throw new OptionError(`pattern has at most ${limits.maxCount} patterns. Name fewer, or raise patterns.maxCount.`)
  const whole: Target[] =
    all === undefined ? [] : [all === 'tenant' ? { kind: 'tenant', tenant } : { kind: 'everything' }]
  return [
    ...keys.map((key): Target => ({ kind: 'key', tenant, key })),
    ...tagsOf(tags).map((tag): Target => ({ kind: 'tag', tenant, tag })),
    ...patterns.map((each) => patternTarget(each, tenant, limits)),
    ...whole,
  ]
}

/** Checks the options of a request to invalidate, and returns its mode. @throws OptionError */
export function modeOf(invalidation: Invalidation): Mode {
  namesOf(invalidation, INVALIDATION, 'invalidate()')
  const { mode = 'drop' } = invalidation
  if (mode !== 'drop' && mode !== 'expire') throw new OptionError("mode must be 'drop' or 'expire'.")
  return mode
}

/** Checks who a request says that it is by; undefined if it names nobody. @throws OptionError */
export function byOf({ by }: { readonly by?: By | undefined }): By | undefined {
  if (by === undefined) return undefined
  const parts = Object.keys(BY_MAX) as (keyof By)[]
  namesOf(by, parts, 'by')
  const named = parts.filter((part) => by[part] !== undefined)
  for (const part of named) {
    if (!isByPart(part, by[part]))
      throw new OptionError(
        `by.${part} is a non-empty text of at most ${BY_MAX[part]} characters, well-formed and without control characters.`,
      )
  }
  // A copy: the caller may change theirs before the log has it.
  return named.length === 0 ? undefined : Object.fromEntries(named.map((part) => [part, by[part]]))
}

/** The most keys that a preview tells. */
const SAMPLE_MAX = 10_000

/** Checks the options of a preview. @throws OptionError */
export function checkPreview(options: PreviewOptions): void {
  namesOf(options, [...NAMED, 'rows', 'sampleMax', 'signal'] satisfies (keyof PreviewOptions)[], 'preview()')
  checkSampleMax(options)
}

/** Checks the options of a count. @throws OptionError */
export function checkCount(options: CountOptions): void {
  namesOf(options, [...NAMED, 'sampleMax', 'signal'] satisfies (keyof CountOptions)[], 'count()')
  checkSampleMax(options)
}

function checkSampleMax({ sampleMax = 0 }: CountOptions): void {
  if (!Number.isInteger(sampleMax) || sampleMax < 0 || sampleMax > SAMPLE_MAX)
    throw new OptionError(`sampleMax is a whole number from 0 to ${SAMPLE_MAX}.`)
}

/** Checks what is to be evicted. @throws OptionError */
export function checkEvicted(named: Named & { readonly signal?: AbortSignal }): void {
  namesOf(named, [...NAMED, 'signal'], 'evict()')
}

/**
 * Whether each key of the tenant must be held against a pattern: not where all that match begin, or end, with the same text, which an index
 * finds, and not of `*`. False of what can't be read, which is refused.
 */
export function looksAtAllKeys(given: Pattern): boolean {
  try {
    const target = patternTarget(given, '', { maxLength: PATTERN_LENGTH_MAX })
    if (target.kind !== 'pattern') return false
    const { prefix, suffix } = matcherOf(target)
    return prefix === '' && suffix === ''
  } catch (error) {
    if (error instanceof PatternError) return false
    throw error
  }
}

function patternTarget(given: Pattern, tenant: string, { maxLength }: Pick<PatternLimits, 'maxLength'>): Target {
  const [syntax, pattern] = textOf(given)
  const lengthMax = Math.min(maxLength, PATTERN_LENGTH_MAX)
  if (pattern.length > lengthMax)
    throw new PatternError(
      `A pattern has at most ${lengthMax} characters. Shorten it, or raise patterns.maxLength (to ${PATTERN_LENGTH_MAX} at most).`,
      lengthMax,
    )
  if (pattern === '') throw new PatternError("A pattern is empty. Use all: 'tenant' to name every key.", 0)
  compilePattern({ syntax, pattern })
  if (syntax === 'regex') return { kind: 'pattern', tenant, syntax, pattern }
  const glob = new Glob(pattern)
  // What is simpler costs less, and says the same.
  if (glob.only !== undefined) return { kind: 'key', tenant, key: glob.only }
  return glob.isAll ? { kind: 'tenant', tenant } : { kind: 'pattern', tenant, syntax, pattern }
}

function textOf(given: Pattern): [syntax: 'glob' | 'regex', pattern: string] {
  if (typeof given === 'string') return ['glob', given]
  if (typeof given === 'object' && given !== null && typeof given.regex === 'string') {
    namesOf(given, ['regex'], 'a pattern')
    return ['regex', given.regex]
  }
  throw new OptionError("pattern is a glob like 'user:*', or { regex: '^user:' }, or an array of them.")
}
