/** Who asked for a change and why, as far as they said: for the journal. Nothing is decided by it. */
export interface By {
  /** Whoever asked: a user, a token, a job. At most 256 characters. */
  readonly actor?: string
  /** What the caller names the request by. At most 256 characters. */
  readonly requestId?: string
  /** Why, in words. At most 1,024 characters. */
  readonly cause?: string
  /** The pattern by which the keys that are named were found. At most 1,024 characters. */
  readonly pattern?: string
}

/** How many characters each part has at most. */
export const BY_MAX = { actor: 256, requestId: 256, cause: 1_024, pattern: 1_024 } as const satisfies Record<
  keyof By,
  number
>

const PARTS = Object.keys(BY_MAX) as readonly (keyof By)[]

/**
 * What a record of a log says of who asked; a part that no request could have is left out, and undefined if nothing is left. Never
 * throws: anybody may have written it, and who asked never decides whether a change counts.
 */
export function readBy(value: unknown): By | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const parts = PARTS.filter((part) => Object.hasOwn(value, part) && isByPart(part, (value as By)[part]))
  return parts.length === 0 ? undefined : Object.fromEntries(parts.map((part) => [part, (value as By)[part]]))
}

/**
 * Whether a part can be kept as it is wherever a journal is: text that is well-formed and has no control characters (PostgreSQL's text
 * has no NUL, and a line break in an actor's name forges a line of a log).
 */
export function isByPart(part: keyof By, text: unknown): text is string {
  if (typeof text !== 'string' || text === '' || text.length > BY_MAX[part]) return false
  return text.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)
}
