import * as fs from 'node:fs'

const MAGIC = 0xbeefc0de
/** Of LMDB's description of its file, which stands in its first and in its second page; the newer one counts. */
const AT = { magic: 24, pageBytes: 48, lastPage: 144, transaction: 152, end: 160 } as const
const PAGE_BYTES_MIN = 512
const PAGE_BYTES_MAX = 65_536

/**
 * Whether a data file of LMDB is as long as it says, or there is none yet. One that is shorter, or no such file, must not be opened:
 * a page that is missing ends the process by a signal.
 */
export function isWhole(path: string): boolean {
  let file: number
  try {
    file = fs.openSync(path, 'r')
  } catch {
    return true
  }
  try {
    const { size } = fs.fstatSync(file)
    if (size === 0) return true
    const first = headAt(file, 0)
    const second = first && headAt(file, first.pageBytes)
    if (!first || !second || first.pageBytes !== second.pageBytes) return false
    const { lastPage, pageBytes } = second.transaction > first.transaction ? second : first
    return size >= (lastPage + 1) * pageBytes
  } finally {
    fs.closeSync(file)
  }
}

interface Head {
  readonly pageBytes: number
  readonly lastPage: number
  readonly transaction: number
}

function headAt(file: number, position: number): Head | undefined {
  const bytes = Buffer.alloc(AT.end)
  if (fs.readSync(file, bytes, 0, bytes.length, position) < bytes.length) return undefined
  const pageBytes = bytes.readUInt32LE(AT.pageBytes)
  if (bytes.readUInt32LE(AT.magic) !== MAGIC || pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX) {
    return undefined
  }
  return {
    pageBytes,
    lastPage: Number(bytes.readBigUInt64LE(AT.lastPage)),
    transaction: Number(bytes.readBigUInt64LE(AT.transaction)),
  }
}
