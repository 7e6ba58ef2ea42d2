import type { Reading } from 'tidemark'
import type { SelfCheck } from './self-check.js'

/** Tells of a query that a loader did not wait for. Only in development: there it is a mistake that somebody is about to make. */
export function notifyLate(reading: Reading | undefined, text: string | undefined, by: { selfCheck: SelfCheck }): void {
  if (!reading?.isEnded || !by.selfCheck.isAlways) return
  reading.notice(
    'late-query',
    `A query ran in the loader of '${reading.name}' after the loader had ended, so that what it reads is no part of the entry. ` +
      `Await it in the loader, or start it outside: ${excerpt(text)}`,
  )
}

/** Tells of a query that a loader ran past everything that Tidemark sees. */
export function notifyUntracked(reading: Reading, text: string | undefined): void {
  reading.notice(
    'untracked-query',
    `The loader of '${reading.name}' queried the followed database through a client that is not wrapped, so that what it read is not ` +
      `known. Wrap its pool by source.wrapPool(), or its client by source.wrapClient(): ${excerpt(text)}`,
  )
}

/** Tells of a query that read more than its analysis says: its answer was not kept, and later ones depend on whole tables. */
export function notifyMisread(reading: Reading, text: string, tables: readonly string[]): void {
  reading.notice(
    'self-check',
    `A query of '${reading.name}' read ${tables.join(', ')}, which its SQL was not found to depend on. From now on it depends on all of ` +
      'the tables that it read. A function that is IMMUTABLE in name only does this; else please report it, with the schema and this ' +
      `SQL: ${excerpt(text)}`,
  )
}

const EXCERPT_MAX = 200

function excerpt(text: string | undefined): string {
  const line = (text ?? 'a prepared statement').trim().replace(/\s+/g, ' ')
  return line.length > EXCERPT_MAX ? `${line.slice(0, EXCERPT_MAX)}…` : line
}
