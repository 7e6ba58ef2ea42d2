import type { Client } from 'pg'
import type { Head } from './chain.js'
import { NOTHING } from './record.js'
import { type JournalStore, lockState } from './store.js'
import { monthsOf, partitionOf } from './tables.js'

/** A month whose records are to be removed, and the last of them in each chain. */
export interface Removal {
  readonly month: number
  readonly records: number
  readonly anchors: ReadonlyMap<string, Head>
}

/**
 * Removes the partitions of whole months before `month`. Chains have to begin somewhere: the last record that goes of each is signed first,
 * and the removal is recorded.
 *
 * @param sign  resolves when the anchors are in the second place
 */
export async function removeBefore(
  store: JournalStore,
  log: string,
  month: number,
  sign: (journal: string, anchors: ReadonlyMap<string, Head>) => Promise<void>,
): Promise<Removal[]> {
  const removed: Removal[] = []
  for (;;) {
    const removal = await store.transaction(async (client) => {
      const { journal } = await lockState(client)
      const next = await oldest(client, month)
      if (!next) return undefined
      await sign(journal, next.anchors)
      await client.query(`drop table ${partitionOf(next.month)}`)
      return next
    })
    if (!removal) return removed
    removed.push(removal)
    const { records } = removal
    const detail = JSON.stringify({ month: removal.month, records })
    const now = Date.now() * 1_000
    const cause = `The records of month ${removal.month} were removed, as the option retention says.`
    const happening = {
      ...NOTHING,
      tenant: null,
      origin: 'retention' as const,
      epoch: '',
      lsn: 0,
      n: -3,
      at: now,
      cause,
      detail,
    }
    await store.append({
      log,
      steps: [{ kind: 'records', happenings: [happening] }],
      covered: undefined,
      isRetry: false,
      wantsHeads: false,
      now,
    })
  }
}

/** The oldest month before `month` that has a partition. Months never go back, so no chain has older records elsewhere. */
async function oldest(client: Client, month: number): Promise<Removal | undefined> {
  const months = (await monthsOf(client)).filter((each) => each < month)
  if (months.length === 0) return undefined
  const first = Math.min(...months)
  const partition = partitionOf(first)
  const last = await client.query<{ chain: string; seq: string; hash: string }>(
    `select distinct on (chain) chain, seq::text, hash from ${partition} order by chain, seq desc`,
  )
  const count = await client.query<{ count: string }>(`select count(*)::text from ${partition}`)
  const anchors = new Map(last.rows.map(({ chain, seq, hash }) => [chain, { seq: Number(seq), hash }]))
  return { month: first, records: Number(count.rows[0]!.count), anchors }
}
