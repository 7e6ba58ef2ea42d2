/** Extension types of our msgpack: what JavaScript has and msgpack has not. */
export const Extension = {
  undefined: 0,
  /** Hexadecimal text, with a minus. */
  bigint: 1,
  /** A double: ms since 1970, NaN for an invalid one. */
  date: 2,
  /** Keys and values in turn. */
  map: 3,
  set: 4,
  /** One byte that says which, then the bytes in this machine's order, which is little-endian wherever Node runs. */
  binary: 5,
  /** A text with lone surrogates, in UTF-16. */
  text: 6,
  /** What an array leaves out. */
  hole: 7,
  /** An object without a prototype, as a map. */
  bare: 8,
} as const

/** Kinds of binary data that are no Buffer, by their number in the format. */
export const BINARY = [
  ArrayBuffer,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as const

/** As deep as values may be anywhere in Tidemark. */
export const DEPTH_MAX = 500
