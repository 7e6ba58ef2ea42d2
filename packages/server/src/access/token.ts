import { createHash, randomBytes } from 'node:crypto'
import type { Role } from './action.js'

/** `token`: for programs, sent in a header. `session`: of somebody who has signed in, sent as a cookie. */
export type TokenKind = keyof typeof PREFIXES

/** The prefix is part of what is hashed: one of a kind never counts as one of the other. */
const PREFIXES = { token: 'tdm', session: 'tds' } as const

/** A token as the database has it: everything but the token. */
export interface StoredToken {
  readonly id: string
  readonly name: string
  readonly roles: readonly Role[]
  readonly tenants: readonly string[] | 'all'
  readonly createdAt: Date
  /** undefined: never. */
  readonly expiresAt: Date | undefined
  readonly revokedAt: Date | undefined
}

/** The kind, what it is found by, and 256 random bits. */
const FORM = /^(tdm|tds)_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/

/** Draws a token. Only its hash is stored: whoever reads the database can't use it, and 256 random bits can't be guessed. */
export function drawToken(kind: TokenKind = 'token'): {
  readonly id: string
  readonly token: string
  readonly hash: Buffer
} {
  const id = randomBytes(8).toString('hex')
  const token = `${PREFIXES[kind]}_${id}_${randomBytes(32).toString('base64url')}`
  return { id, token, hash: hashOfToken(token) }
}

/** Of the text, not of the bits that it stands for: those have several spellings. */
export function hashOfToken(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

/** What a token is found by; undefined if it is none of ours, or of another kind. */
export function idOfToken(text: string, kind: TokenKind = 'token'): string | undefined {
  const [, prefix, id] = FORM.exec(text) ?? []
  return prefix === PREFIXES[kind] ? id : undefined
}
