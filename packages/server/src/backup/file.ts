import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { BackupError } from './errors.js'

const FORMAT = 'tidemark-backup'
const FORMAT_VERSION = 1
const FILE_CALLS = new Set(['open', 'write', 'fsync', 'rename'])

/** The first line. */
export interface Header {
  readonly format: typeof FORMAT
  readonly formatVersion: number
  /** When, and at which place of the log: all that was committed before is in it, and nothing that was committed later. */
  readonly at: string
  readonly position: string
  /** The program that made it. */
  readonly program: string
  readonly parts: readonly PartHeader[]
}

export interface PartHeader {
  readonly name: string
  readonly version: number
  readonly tables: readonly { readonly name: string; readonly columns: readonly string[] }[]
}

/** A row: the numbers of its part and table in the header, and its values. */
export type Line = readonly [part: number, table: number, values: readonly (string | null)[]]

/** The last line: what all before it must come to. */
interface Footer {
  readonly end: true
  readonly rows: number
  readonly sha256: string
}

export interface Summary {
  readonly header: Header
  readonly rows: number
  /** Of each table that the file has. */
  readonly counts: ReadonlyMap<string, number>
}

export function headerOf(of: Omit<Header, 'format' | 'formatVersion'>): Header {
  return { format: FORMAT, formatVersion: FORMAT_VERSION, ...of }
}

/**
 * Writes a backup: lines of JSON, the last of which has their number and SHA-256, through gzip. The file has its name only once it is complete
 * and on the disk.
 *
 * @returns the number of rows
 * @throws BackupError if the file can't be written; what `rows` throws
 */
export async function writeBackup(path: string, header: Header, rows: AsyncIterable<Line>): Promise<number> {
  const unfinished = `${path}.unfinished`
  let count = 0
  const lines = async function* () {
    const hash = createHash('sha256')
    const told = (value: unknown): string => {
      const line = `${JSON.stringify(value)}\n`
      hash.update(line)
      return line
    }
    yield told(header)
    for await (const row of rows) {
      count += 1
      yield told(row)
    }
    yield `${JSON.stringify({ end: true, rows: count, sha256: hash.digest('hex') } satisfies Footer)}\n`
  }
  try {
    // For who made it only: it has the hashes of tokens, and values of configs.
    await pipeline(lines, createGzip(), createWriteStream(unfinished, { mode: 0o600, flush: true }))
    await rename(unfinished, path)
    await synced(dirname(path))
    return count
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => {})
    const { syscall, code } = error as NodeJS.ErrnoException
    // Of the file; what the database refuses has a code of its own.
    if (syscall === undefined || !FILE_CALLS.has(syscall)) throw error
    throw new BackupError(`${path} cannot be written (${code}). Correct the folder, its rights or its disk.`, {
      cause: error,
    })
  }
}

/**
 * Reads all of a backup, and checks it: its form, its number of rows, its SHA-256.
 *
 * @throws BackupError if it is none, was cut off, or was changed
 */
export async function checkBackup(path: string): Promise<Summary> {
  const counts = new Map<string, number>()
  let header: Header | undefined
  for await (const [read, line] of linesOf(path)) {
    header = read
    if (line === undefined) continue
    const { name } = tableOf(read, line)
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return { header: header!, counts, rows: [...counts.values()].reduce((sum, count) => sum + count, 0) }
}

/** The rows of a backup, checked while they are read: it throws at the end if they are not what was written. */
export async function* readRows(path: string): AsyncGenerator<Line> {
  for await (const [, line] of linesOf(path)) if (line !== undefined) yield line
}

/** The table of a row. */
export function tableOf(
  header: Header,
  [part, table]: Line,
): { readonly name: string; readonly columns: readonly string[] } {
  return header.parts[part]!.tables[table]!
}

/** The header with each row; at first without one. */
async function* linesOf(path: string): AsyncGenerator<readonly [Header, Line | undefined]> {
  const file = createReadStream(path)
  const unzipped = createGunzip()
  const failed = pipeline(file, unzipped).then(
    () => undefined,
    (error: Error) => error,
  )
  const hash = createHash('sha256')
  let header: Header | undefined
  let footer: Footer | undefined
  let rows = 0
  try {
    for await (const text of textLines(unzipped)) {
      if (footer) throw damaged(path, 'something stands behind its end')
      const value = parsed(path, text)
      if (header === undefined) header = checkHeader(path, value)
      else if (!Array.isArray(value)) footer = value as Footer
      if (footer) continue
      hash.update(`${text}\n`)
      if (!Array.isArray(value)) yield [header, undefined]
      else {
        rows += 1
        yield [header, checkLine(path, header, value as unknown as Line)]
      }
    }
  } catch (error) {
    throw error instanceof BackupError ? error : damaged(path, reasonOf(error), error)
  }
  const error = await failed
  if (error) throw damaged(path, reasonOf(error), error)
  if (!header) throw damaged(path, 'it is empty')
  if (footer?.end !== true) throw damaged(path, 'its end is missing: it was cut off')
  if (footer.rows !== rows || footer.sha256 !== hash.digest('hex')) throw damaged(path, 'its SHA-256 is another one')
}

/** Lines by \n alone, which JSON escapes: readline also ends lines at what JSON leaves as it is. */
async function* textLines(stream: NodeJS.ReadableStream): AsyncGenerator<string> {
  stream.setEncoding('utf8')
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + (chunk as string)).split('\n')
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') yield rest
}

function parsed(path: string, text: string): object {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value
  } catch {}
  throw damaged(path, 'a line of it cannot be read')
}

function checkHeader(path: string, value: object): Header {
  const header = value as Header
  if (header.format !== FORMAT) throw damaged(path, 'it is no backup of Tidemark')
  if (header.formatVersion !== FORMAT_VERSION)
    throw new BackupError(
      `${path} has the form ${header.formatVersion}, and this program reads ${FORMAT_VERSION}. Use the program that made it (${header.program}), or a later one.`,
    )
  return header
}

function checkLine(path: string, header: Header, line: Line): Line {
  const [part, table, values] = line
  const columns = header.parts[part]?.tables[table]?.columns
  const isRow = Array.isArray(values) && values.every((value) => value === null || typeof value === 'string')
  if (columns && isRow && values.length === columns.length) return line
  throw damaged(path, 'a row of it does not fit its table')
}

function damaged(path: string, reason: string, cause?: unknown): BackupError {
  return new BackupError(`${path} cannot be restored: ${reason}. Nothing was changed.`, { cause })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

async function synced(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
}
