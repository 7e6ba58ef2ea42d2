import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Journal, ReadRecord } from '../src/index.js'
import { until } from './opened.js'

/** A folder for signed heads, which goes with `remove`. */
export function headsFolder() {
  const path = mkdtempSync(join(tmpdir(), 'tidemark-journal-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** All records, oldest first. */
export async function recordsOf(journal: Journal): Promise<ReadRecord[]> {
  const all: ReadRecord[] = []
  for await (const page of journal.all({})) all.push(...page)
  return all.reverse()
}

/** Waits until the journal has records that pass; returns all. */
export async function recordsWhen(
  journal: Journal,
  holds: (records: readonly ReadRecord[]) => boolean,
): Promise<ReadRecord[]> {
  let records: ReadRecord[] = []
  await until(
    async () => {
      records = await recordsOf(journal).catch(() => [])
      return holds(records)
    },
    () => JSON.stringify([journal.status(), records.slice(-5)]),
    30_000,
  )
  return records
}

export function verified(journal: Journal) {
  return journal.verify(undefined, AbortSignal.timeout(30_000))
}
