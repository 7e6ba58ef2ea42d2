import type { Client } from 'pg'
import { JOURNAL_SCHEMA } from '../wal/recording.js'
import { ChainCheck, type ChainProblem, type Head } from './chain.js'
import type { SignedChains } from './heads.js'
import { COLUMNS, type Row, recordOf } from './rows.js'
import { AUDIT } from './tables.js'

const PAGE = 5_000

/** What a check of the journal found. */
export interface Verification {
  /** Nothing was changed, removed or put in, as far as hashes and signed heads show. */
  readonly intact: boolean
  readonly chains: number
  readonly records: number
  /** Whether heads are signed into a file; without one, a tail that was cut off does not show. */
  readonly signed: boolean
  readonly problems: readonly ChainProblem[]
}

/**
 * Checks chains, all of them unless some are named. Runs in a snapshot: what is written meanwhile is not looked at.
 *
 * @param signed  read before the snapshot was taken, so that it names nothing that the snapshot lacks
 */
export async function verifyChains(
  client: Client,
  chains: readonly string[] | undefined,
  signed: SignedChains | undefined,
  signal: AbortSignal,
): Promise<Verification> {
  const heads = await headsOf(client)
  const names = chains ?? (await namesOf(client, heads, signed))
  const problems: ChainProblem[] = []
  let records = 0
  for (const chain of names) {
    const check = new ChainCheck(chain, signed?.chains.get(chain) ?? { heads: [], anchors: [] })
    let last = 0
    for (;;) {
      signal.throwIfAborted()
      const { rows } = await client.query<Row>(
        `select ${COLUMNS} from ${AUDIT} a where a.chain = $1 and a.seq > $2 order by a.seq, a.month limit ${PAGE}`,
        [chain, last],
      )
      for (const row of rows) check.add(recordOf(row))
      if (rows.length < PAGE) break
      last = Number(rows.at(-1)!.seq)
    }
    problems.push(...check.end(heads.get(chain)))
    records += check.count
  }
  if (signed && signed.forged > 0) problems.push(forged(signed.forged))
  if (signed && records > 0 && !chains && signed.chains.size === 0) problems.push(unsigned())
  return { intact: problems.length === 0, chains: names.length, records, signed: signed !== undefined, problems }
}

async function headsOf(client: Client): Promise<Map<string, Head>> {
  const { rows } = await client.query<{ chain: string; seq: string; hash: string }>(
    `select chain, seq::text, hash from ${JOURNAL_SCHEMA}.heads`,
  )
  return new Map(rows.map(({ chain, seq, hash }) => [chain, { seq: Number(seq), hash }]))
}

/** Also those that only one of the three places still names. */
async function namesOf(
  client: Client,
  heads: ReadonlyMap<string, Head>,
  signed: SignedChains | undefined,
): Promise<string[]> {
  const { rows } = await client.query<{ chain: string }>(`select distinct chain from ${AUDIT}`)
  const names = [...rows.map(({ chain }) => chain), ...heads.keys(), ...(signed?.chains.keys() ?? [])]
  return [...new Set(names)].sort()
}

function forged(lines: number): ChainProblem {
  const detail = `${lines} line(s) of the file of signed heads are not signed by the journal's key.`
  return { chain: '', seq: 0, kind: 'rewritten', detail }
}

function unsigned(): ChainProblem {
  const detail = 'The file of signed heads names no head of this journal: it was removed, or is another journal’s.'
  return { chain: '', seq: 0, kind: 'start', detail }
}
