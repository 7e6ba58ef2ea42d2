/** A column of an answer: its name and its type's OID. */
export interface Column {
  readonly name: string
  readonly oid: number
}

/** The texts of one row's columns, as PostgreSQL sends them; null is NULL. */
export type TextRow = readonly (string | null)[]

/**
 * Writes rows as the JSON array that clients get, straight from PostgreSQL's text: nothing passes through a JavaScript
 * number or Date, so nothing is rounded.
 *
 * int8 and numeric are strings (JSON's numbers lose digits in most languages); smaller integers and finite floats are
 * numbers, NaN and the infinities strings; json and jsonb stand as they are; timestamps have ISO 8601's `T` and all their
 * microseconds; bytea is base64; arrays of these are arrays; everything else is PostgreSQL's text. No line breaks.
 */
export function rowsToJson(columns: readonly Column[], rows: readonly TextRow[]): string {
  const writers = columns.map(({ name, oid }) => ({ name: `${JSON.stringify(name)}:`, write: writerOf(oid) }))
  return `[${rows.map((row) => writeRow(writers, row)).join(',')}]`
}

/** One row as an object, or `null`. */
export function rowToJson(columns: readonly Column[], row: TextRow | undefined): string {
  return row ? rowsToJson(columns, [row]).slice(1, -1) : 'null'
}

type Write = (text: string) => string

function writeRow(writers: readonly { readonly name: string; readonly write: Write }[], row: TextRow): string {
  return `{${writers.map(({ name, write }, index) => name + writeNullable(write, row[index] ?? null)).join(',')}}`
}

function writeNullable(write: Write, text: string | null): string {
  return text === null ? 'null' : write(text)
}

const writeNumber: Write = (text) => (/^-?\d/.test(text) ? text : JSON.stringify(text))
const writeBoolean: Write = (text) => (text === 't' ? 'true' : 'false')
// In JSON a line break can only stand between tokens; streams send a value on one line.
const writeJson: Write = (text) => text.replaceAll(/[\r\n]+/g, ' ')
const writeBytes: Write = (text) => `"${bytesOf(text).toString('base64')}"`
const writeTime: Write = (text) =>
  JSON.stringify(
    text
      .replace(/^(\d+-\d\d-\d\d) /, '$1T')
      .replace(/([+-]\d\d)(?= BC$|$)/, (zone, _, at: number) => (at > 10 ? `${zone}:00` : zone)),
  )

const WRITERS: Readonly<Record<number, Write>> = {
  16: writeBoolean,
  17: writeBytes,
  21: writeNumber,
  23: writeNumber,
  26: writeNumber,
  114: writeJson,
  3802: writeJson,
  700: writeNumber,
  701: writeNumber,
  1114: writeTime,
  1184: writeTime,
}

/** Of either form of bytea's text: hex, or the older escapes, which a role may have set (bytea_output). */
function bytesOf(text: string): Buffer {
  if (text.startsWith('\\x')) return Buffer.from(text.slice(2), 'hex')
  const unescaped = text.replaceAll(
    /\\(?:(\\)|([0-3][0-7]{2}))/g,
    (_, slash: string | undefined, octal: string) => slash ?? String.fromCharCode(Number.parseInt(octal, 8)),
  )
  return Buffer.from(unescaped, 'latin1')
}

/** Array types, by OID, and their elements' OIDs. */
const ELEMENTS: Readonly<Record<number, number>> = {
  199: 114,
  1000: 16,
  1001: 17,
  1005: 21,
  1007: 23,
  1009: 25,
  1014: 1042,
  1015: 1043,
  1016: 20,
  1021: 700,
  1022: 701,
  1028: 26,
  1115: 1114,
  1182: 1082,
  1185: 1184,
  1231: 1700,
  2951: 2950,
  3807: 3802,
}

function writerOf(oid: number): Write {
  const element = ELEMENTS[oid]
  if (element === undefined) return WRITERS[oid] ?? JSON.stringify
  const write = writerOf(element)
  return (text) => writeArray(text, write)
}

/** PostgreSQL's text of an array, `{1,NULL,"a \"b\""}`, nested to any depth; bounds (`[0:1]={…}`) are left out. */
function writeArray(text: string, write: Write): string {
  const token = /[{},]|"((?:[^"\\]|\\.)*)"|([^{},"]+)/gs
  token.lastIndex = text.indexOf('{')
  let json = ''
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [mark, quoted, plain] = match
    if (quoted !== undefined) json += write(quoted.replaceAll(/\\(.)/gs, '$1'))
    else if (plain !== undefined) json += plain === 'NULL' ? 'null' : write(plain)
    else json += mark === '{' ? '[' : mark === '}' ? ']' : ','
  }
  return json
}
