import { hash } from 'node:crypto'
import type { L2Stamp } from 'tidemark'
import { DEPENDENCY_BYTES, EXPIRY_BIT, SHAPE_BYTES } from './scripts/layout.js'

const CACHED_MAX = 4_096
const shapes = new Map<string, Buffer>()

/** The id of a shape. */
export function shapeId(shape: string): Buffer {
  const known = shapes.get(shape)
  if (known) return known
  if (shapes.size >= CACHED_MAX) shapes.clear()
  const id = hash('sha256', shape, 'buffer').subarray(0, SHAPE_BYTES)
  shapes.set(shape, id)
  return id
}

/** What names a dependency in L2; another one for what lets it expire. */
export function dependencyId({ shape, name }: L2Stamp, isExpiry = false): Buffer {
  const id = Buffer.allocUnsafe(DEPENDENCY_BYTES)
  writeDependencyId(id, 0, shape, name)
  if (isExpiry) id[DEPENDENCY_BYTES - 1]! ^= EXPIRY_BIT
  return id
}

export function writeDependencyId(into: Buffer, at: number, shape: string, name: string): void {
  shapeId(shape).copy(into, at)
  writeHash(into, at + SHAPE_BYTES, name)
}

/**
 * Two sums of 32 bits that mix each other at the end. Names that collide are stamped together: that somebody can find such does no harm,
 * so it need only be fast.
 *
 * Source: "cyrb53" by bryc, with all of its 64 bits.
 */
function writeHash(into: Buffer, at: number, text: string): void {
  let one = 0xdeadbeef
  let two = 0x41c6ce57
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    one = Math.imul(one ^ unit, 0x9e3779b1)
    two = Math.imul(two ^ unit, 0x5f356495)
  }
  const first = Math.imul(one ^ (one >>> 16), 0x85ebca6b) ^ Math.imul(two ^ (two >>> 13), 0xc2b2ae35)
  const second = Math.imul(two ^ (two >>> 16), 0x85ebca6b) ^ Math.imul(first ^ (first >>> 13), 0xc2b2ae35)
  into.writeInt32BE(first, at)
  into.writeInt32BE(second, at + 4)
}
