import { hash } from 'node:crypto'
import type { L2Stamp } from 'tidemark'
import { DEPENDENCY_BYTES, SHAPE_BYTES } from './scripts/layout.js'

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

/** What names a dependency in L2. */
export function dependencyId({ shape, name }: L2Stamp): Buffer {
  const id = Buffer.allocUnsafe(DEPENDENCY_BYTES)
  writeDependencyId(id, 0, shape, name)
  return id
}

export function writeDependencyId(into: Buffer, at: number, shape: string, name: string): void {
  shapeId(shape).copy(into, at)
  hash('sha1', name, 'buffer').copy(into, at + SHAPE_BYTES, 0, DEPENDENCY_BYTES - SHAPE_BYTES)
}
