import { createHash, randomBytes } from 'node:crypto'
import type { Role } from './action.js'

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

/** `tdm_`, what it is found by, and 256 random bits. */
const FORM = /^tdm_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/

/** Draws a token. Only its hash is stored: whoever reads the database can't use it, and 256 random bits can't be guessed. */
export function drawToken(): { readonly id: string; readonly token: string; readonly hash: Buffer } {
  const id = randomBytes(8).toString('hex')
  const token = `tdm_${id}_${randomBytes(32).toString('base64url')}`
  return { id, token, hash: hashOfToken(token) }
}

/** Of the text, not of the bits that it stands for: those have several spellings. */
export function hashOfToken(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

/** What a token is found by; undefined if it is none of ours. */
export function idOfToken(text: string): string | undefined {
  return FORM.exec(text)?.[1]
}
