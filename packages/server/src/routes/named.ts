import { BY_MAX, type By, escapeGlob, isByPart, type Pattern } from 'tidemark'
import { z } from 'zod'

/** How many keys, and tags, one request names at most. */
export const KEYS_MAX = 10_000
const TAGS_MAX = 1_000
/** In UTF-8. */
const KEY_BYTES_MAX = 1_024
/** More than any pattern that the cache reads: what is too long for it is answered with its reason. */
const PATTERN_MAX = 65_536

export const keySchema = z
  .string()
  .min(1, 'must not be empty')
  .refine(
    (key) => key.length <= KEY_BYTES_MAX && key.isWellFormed() && Buffer.byteLength(key) <= KEY_BYTES_MAX,
    `must be well-formed text of at most ${KEY_BYTES_MAX} bytes in UTF-8`,
  )

const keyList = z.array(keySchema).max(KEYS_MAX)
export const keysSchema = keyList
  .min(1)
  .describe('Keys by their text: `user:7`, `post(42)`. Each also names what was computed from it')
/** What has half a surrogate pair is no UTF-8, and would become another tag on its way through the log. */
export const tagSchema = z
  .string()
  .min(1)
  .max(1_024)
  .refine((tag) => tag.isWellFormed(), 'must be well-formed text: it has half a surrogate pair')
export const tagsSchema = z.array(tagSchema).max(TAGS_MAX).describe('Tags')
export const dependenciesSchema = keyList.describe(
  'Keys that entries were computed from: those entries go, and so do the keys',
)
export const amongSchema = keyList.describe('Match only among these keys, cached here or not')

export const patternSchema = z.string().min(1).max(PATTERN_MAX)
export const syntaxSchema = z
  .enum(['glob', 'regex', 'exact', 'prefix', 'suffix'])
  .default('glob')
  .describe(
    '`glob`: `*`, `?`, `[a-z]`; `regex`: RE2, found anywhere in a key; the others take the pattern as plain text',
  )

export const modeSchema = z
  .enum(['hard', 'soft'])
  .default('hard')
  .describe('`hard`: gone at once; `soft`: stale now, served by grace while it is refilled')

/** What somebody says of a request, by the library's own rule: what it would refuse is a 400 that names the field. */
function saidSchema(part: keyof By) {
  return z
    .string()
    .min(1)
    .max(BY_MAX[part])
    .refine((text) => isByPart(part, text), 'must be well-formed text without control characters')
}

export const requestIdSchema = saidSchema('requestId').describe(
  'What you name the request by: asked again under it, it changes nothing and is answered as before',
)
export const triggeredBySchema = saidSchema('actor').describe('Who or what asks, for the journal')
export const causeSchema = saidSchema('cause').describe('Why, for the journal')

/** Once or several times in a query. */
export function repeated(item: z.ZodType<string, string>, max: number) {
  return z
    .union([item, z.array(item).max(max)])
    .optional()
    .transform((value) => (value === undefined ? [] : typeof value === 'string' ? [value] : value))
}

/** `true` or `false` in a query. */
export const flagSchema = z
  .enum(['true', 'false'])
  .optional()
  .transform((value) => value === 'true')

export function patternOf(text: string, syntax: z.infer<typeof syntaxSchema>): Pattern {
  switch (syntax) {
    case 'regex':
      return { regex: text }
    case 'glob':
      return text
    case 'exact':
      return escapeGlob(text)
    case 'prefix':
      return `${escapeGlob(text)}*`
    case 'suffix':
      return `*${escapeGlob(text)}`
  }
}
