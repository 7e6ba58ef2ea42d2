import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import { type FileHandle, link, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Head, Signed } from './chain.js'
import { JournalError } from './errors.js'

const KEY = 'journal-key.pem'
const HEADS = 'journal-heads'
/** The file is written anew, with what still says something, when it is larger. */
const FILE_MAX_BYTES = 2 ** 20
const LINES_AT_ONCE = 100
/** Ends what was only half written, so that it is not taken for a forgery: ASCII's CANCEL. */
const TORN = '\u0018'

/** heads: the last records of chains. anchors: the last ones that were removed on purpose. */
export type SignedKind = 'heads' | 'anchors'

/** What the file says of one journal. */
export interface SignedChains {
  readonly chains: ReadonlyMap<string, Signed>
  /** Lines that are not signed by this key. */
  readonly forged: number
}

interface Line {
  readonly journal: string
  readonly kind: SignedKind
  readonly at: string
  readonly chains: Readonly<Record<string, readonly [seq: number, hash: string]>>
}

interface SignedLine extends Line {
  /** With its signature, as it stands in the file. */
  readonly text: string
}

/**
 * The heads of the journal's chains, signed (Ed25519), in a file: a second place, which whoever may change the database does not reach. A line
 * is a signature and JSON.
 */
export class SignedHeads {
  readonly #folder: string
  readonly #key: KeyObject
  readonly #public: KeyObject
  /** Writes to the file, one after the other. */
  #last: Promise<void> = Promise.resolve()

  private constructor(folder: string, key: KeyObject) {
    this.#folder = folder
    this.#key = key
    this.#public = createPublicKey(key)
  }

  /**
   * Opens the folder, and makes it, and a key in it, where they are missing.
   *
   * @throws JournalError if the key can't be read
   */
  static async open(folder: string): Promise<SignedHeads> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, KEY)
    try {
      await makeKey(folder, path)
      return new SignedHeads(folder, createPrivateKey(await readFile(path, 'utf8')))
    } catch (cause) {
      throw new JournalError(
        `The journal's key (${KEY} in its folder) cannot be made or read. Correct the owner and the mode of the folder; a key that is damaged ` +
          'can be moved away, and a new one is made: what was signed with the old one then counts as forged.',
        { cause },
      )
    }
  }

  /** By which others can check the lines: SPKI, as PEM. */
  get publicKey(): string {
    return this.#public.export({ type: 'spki', format: 'pem' }).toString()
  }

  /** A secret that only who has the key can know. */
  secretOf(purpose: string): string {
    return createHmac('sha256', this.#key.export({ type: 'pkcs8', format: 'der' }))
      .update(purpose)
      .digest('base64url')
  }

  /** Signs and appends; resolves when it is written. */
  sign(journal: string, kind: SignedKind, heads: ReadonlyMap<string, Head>): Promise<void> {
    if (heads.size === 0) return this.#last
    const turn = this.#last.then(() => this.#append(journal, kind, heads))
    this.#last = turn.catch(() => {})
    return turn
  }

  /** All that was signed of one journal. */
  async read(journal: string): Promise<SignedChains> {
    await this.#last
    const { lines, forged } = await this.#lines()
    const chains = new Map<string, { heads: Head[]; anchors: Head[] }>()
    for (const line of lines) {
      if (line.journal !== journal) continue
      for (const [chain, [seq, hash]] of Object.entries(line.chains)) {
        const own = chains.get(chain) ?? { heads: [], anchors: [] }
        chains.set(chain, own)
        own[line.kind].push({ seq, hash })
      }
    }
    return { chains, forged }
  }

  async #append(journal: string, kind: SignedKind, heads: ReadonlyMap<string, Head>): Promise<void> {
    const path = join(this.#folder, HEADS)
    const file = await open(path, 'a+', 0o600)
    try {
      // The disk was full, or somebody was killed: whoever comes next, in whatever process, writes behind it.
      const end = (await isTorn(file)) ? `${TORN}\n` : ''
      await file.appendFile(end + this.#lineOf(journal, kind, heads))
      if ((await file.stat()).size > FILE_MAX_BYTES) await this.#compact(path)
    } finally {
      await file.close()
    }
  }

  #lineOf(journal: string, kind: SignedKind, heads: ReadonlyMap<string, Head>): string {
    const chains = Object.fromEntries([...heads].map(([chain, { seq, hash }]) => [chain, [seq, hash] as const]))
    const json = JSON.stringify({ journal, kind, at: new Date().toISOString(), chains } satisfies Line)
    return `${sign(null, Buffer.from(json), this.#key).toString('base64url')} ${json}\n`
  }

  /** Checking a signature takes a tenth of a millisecond: others get a turn in between. */
  async #lines(): Promise<{ readonly lines: SignedLine[]; readonly forged: number }> {
    const text = await this.#text()
    const lines: SignedLine[] = []
    let forged = 0
    let count = 0
    for (const line of text.split('\n')) {
      if (line === '' || line.endsWith(TORN)) continue
      if (++count % LINES_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve))
      const read = this.#readLine(line)
      if (read) lines.push({ ...read, text: line })
      else forged++
    }
    // What was being written when the machine stopped.
    if (forged > 0 && !text.endsWith('\n')) forged--
    return { lines, forged }
  }

  async #text(): Promise<string> {
    return readFile(join(this.#folder, HEADS), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    })
  }

  #readLine(line: string): Line | undefined {
    const space = line.indexOf(' ')
    const json = line.slice(space + 1)
    const signature = Buffer.from(line.slice(0, space), 'base64url')
    if (space < 0 || !verify(null, Buffer.from(json), this.#public, signature)) return undefined
    return JSON.parse(json) as Line
  }

  /** Without the heads that a later one of the same chain goes beyond. */
  async #compact(path: string): Promise<void> {
    const { lines } = await this.#lines()
    const kept = keptOf(lines)
    const text = lines.flatMap((line, at) => (kept.has(at) ? `${line.text}\n` : [])).join('')
    const fresh = `${path}.${randomBytes(6).toString('hex')}`
    try {
      await writeFile(fresh, text, { mode: 0o600 })
      await rename(fresh, path)
    } catch (error) {
      await rm(fresh, { force: true })
      throw error
    }
  }
}

async function isTorn(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat()
  if (size === 0) return false
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
  return buffer.toString() !== '\n'
}

/**
 * Which lines have every anchor, the last head of each chain, and both heads between which a chain went back: it was cut there, and what was
 * signed before is what shows it.
 */
function keptOf(lines: readonly Line[]): Set<number> {
  const kept = new Set<number>()
  const last = new Map<string, { readonly at: number; readonly seq: number; readonly hash: string }>()
  for (const [at, { journal, kind, chains }] of lines.entries()) {
    if (kind === 'anchors') kept.add(at)
    else
      for (const [chain, [seq, hash]] of Object.entries(chains)) {
        const before = last.get(`${journal} ${chain}`)
        if (before?.seq === seq && before.hash === hash) continue
        if (before && seq <= before.seq) kept.add(before.at).add(at)
        last.set(`${journal} ${chain}`, { at, seq, hash })
      }
  }
  for (const { at } of last.values()) kept.add(at)
  return kept
}

/** Whole or not at all, also where two processes begin at once. */
async function makeKey(folder: string, path: string): Promise<void> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  )
  if (isThere) return
  const { privateKey } = generateKeyPairSync('ed25519')
  const fresh = join(folder, `${KEY}.${randomBytes(6).toString('hex')}`)
  try {
    await writeFile(fresh, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' })
    await link(fresh, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(fresh, { force: true })
  }
}
