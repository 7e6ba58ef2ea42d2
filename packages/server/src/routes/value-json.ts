import { isAnyArrayBuffer, isMap, isSet } from 'node:util/types'

/** A value as JSON: what JSON does not know is told as it is told of rows (docs/http.md). */
export function valueJson(value: unknown): string {
  return JSON.stringify(value, replaced) ?? 'null'
}

/** Called with the object that holds the value: some values have turned themselves into something else by now. */
function replaced(this: unknown, name: string, shown: unknown): unknown {
  const value = (this as Record<string, unknown>)[name]
  switch (typeof value) {
    case 'bigint':
      return String(value)
    case 'number':
      return Number.isFinite(value) ? value : String(value)
    case 'object':
      if (value === null) return null
      if (isMap(value)) return [...value]
      if (isSet(value)) return [...value]
      if (ArrayBuffer.isView(value)) return base64(value.buffer, value.byteOffset, value.byteLength)
      if (isAnyArrayBuffer(value)) return base64(value, 0, value.byteLength)
  }
  return shown
}

function base64(buffer: ArrayBufferLike, offset: number, length: number): string {
  return Buffer.from(buffer as ArrayBuffer, offset, length).toString('base64')
}
