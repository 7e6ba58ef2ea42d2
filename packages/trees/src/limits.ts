import { OptionError } from 'tidemark'

/** What trees refuse, and where. */
export interface TreeLimits {
  /** Bytes of a path in UTF-8. At most 2,000: it is part of an index. Default 1,024. */
  readonly pathBytesMax: number
  /** How many levels a config has below its root. Default 64. */
  readonly depthMax: number
  /** Nodes that one edit may write. Default 20,000. */
  readonly editNodesMax: number
  /** Bytes of one document, of an edit or of an import. Default 8 MiB. */
  readonly documentBytesMax: number
  /** References that lead on to others, one behind another. Default 16. */
  readonly referencesMax: number
  /** Characters of JSON that the references of one view may bring into it. Default 8 Mi: as long as the longest document. */
  readonly referredCharactersMax: number
  /** Milliseconds that a search for text may take: it looks at every node until a page is full. Default 2,000. */
  readonly searchMaxMs: number
  /** Milliseconds that it may take to read a JSON Schema, or to compare a config with it. Default 2,000. */
  readonly schemaMaxMs: number
  /** Milliseconds that an edit, or a read of what is not cached (history, lists, heads), may take in the database. Default 30,000. */
  readonly transactionMaxMs: number
}

const DEFAULTS: TreeLimits = {
  pathBytesMax: 1_024,
  depthMax: 64,
  editNodesMax: 20_000,
  documentBytesMax: 8 * 2 ** 20,
  referencesMax: 16,
  referredCharactersMax: 8 * 2 ** 20,
  searchMaxMs: 2_000,
  schemaMaxMs: 2_000,
  transactionMaxMs: 30_000,
}
/** Beyond these the server, or the stack of this process, would be the limit. */
const MOST: TreeLimits = {
  pathBytesMax: 2_000,
  depthMax: 500,
  editNodesMax: 1_000_000,
  documentBytesMax: 256 * 2 ** 20,
  referencesMax: 100,
  referredCharactersMax: 256 * 2 ** 20,
  searchMaxMs: 60_000,
  schemaMaxMs: 60_000,
  transactionMaxMs: 3_600_000,
}

/** @throws OptionError (`TIDEMARK_OPTION`) if a limit is no whole number in its range */
export function limitsOf(given: Partial<TreeLimits> = {}): TreeLimits {
  for (const [name, value] of Object.entries(given)) {
    const most = MOST[name as keyof TreeLimits]
    if (most === undefined) throw new OptionError(`trees({ limits }) has no "${name}".`)
    if (!Number.isSafeInteger(value) || value < 1 || value > most)
      throw new OptionError(`trees({ limits: { ${name} } }) must be a whole number from 1 to ${most}.`)
  }
  return { ...DEFAULTS, ...given }
}
