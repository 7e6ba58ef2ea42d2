import { hash } from 'node:crypto'
import { LAYOUT } from './scripts/layout.js'

const PLAIN_MAX = 200

/** The names of a bucket's keys in Redis. What users name stands behind the braces, so it cannot move a key to another bucket. */
export interface BucketKeys {
  readonly state: string
  readonly stamps: string
  entry(key: string): string
  lease(key: string): string
}

/** @param name of the whole L2, without braces */
export function bucketKeys(name: string, bucket: number): BucketKeys {
  const prefix = `{${name}:${bucket}}:${LAYOUT}:`
  return {
    state: `${prefix}s`,
    stamps: `${prefix}z`,
    entry: (key) => prefix + entryName(key),
    lease: (key) => `${prefix}l${entryName(key)}`,
  }
}

/** In which of `buckets` a key is: FNV-1a of its UTF-16 units. */
export function bucketOf(key: string, buckets: number): number {
  if (buckets === 1) return 0
  let sum = 0x811c9dc5
  for (let i = 0; i < key.length; i++) sum = Math.imul(sum ^ key.charCodeAt(i), 0x01000193)
  return (sum >>> 0) % buckets
}

/** Lone surrogates would all become the same bytes: such keys go by their hash, as long ones do. */
function entryName(key: string): string {
  if (key.length <= PLAIN_MAX && key.isWellFormed()) return `e:${key}`
  return `h:${hash('sha256', Buffer.from(key, 'utf16le'), 'hex')}`
}
