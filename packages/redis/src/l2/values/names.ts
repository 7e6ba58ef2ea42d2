const LENGTH_MAX = 32
const KEPT = 16

interface Kept {
  readonly bytes: Buffer
  readonly text: string
}

/**
 * Short texts that come again and again, such as the names of properties: found by their bytes, they need no decoding and are one string
 * wherever they stand. Keeps the last few of each length.
 */
export class Names {
  readonly #byLength: Kept[][] = Array.from({ length: LENGTH_MAX }, () => [])

  read(bytes: Buffer, start: number, length: number): string {
    const kept = this.#byLength[length]!
    for (const name of kept) if (isAt(bytes, start, name.bytes)) return name.text
    const text = bytes.toString('utf8', start, start + length)
    if (kept.length === KEPT) kept.shift()
    kept.push({ bytes: Buffer.from(bytes.subarray(start, start + length)), text })
    return text
  }
}

function isAt(bytes: Buffer, start: number, wanted: Buffer): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[start + i] !== wanted[i]) return false
  return true
}
