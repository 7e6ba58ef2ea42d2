import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { onService, type Service, type ServiceOptions, serviceOf } from '../service.js'
import { formatResult } from '../table.js'
import type { Ends, Terminal } from '../terminal.js'

interface JournalOptions extends ServiceOptions {
  readonly scope?: string
  readonly actor?: string
  readonly origin?: string
  readonly target?: string
  readonly requestId?: string
  readonly from?: string
  readonly to?: string
  readonly limit?: string
  readonly follow?: true
}

interface Record {
  readonly id: number
  readonly origin: string
  readonly timestamp: string
  readonly pattern: string | null
  readonly keys: readonly string[]
  readonly tags: readonly string[]
  readonly tables: readonly string[]
  readonly triggered_by: string | null
  readonly request_id: string | null
  readonly cause: string | null
  readonly latency_ms: number | null
}

interface Page {
  readonly records: readonly Record[]
  readonly cursor: string | null
}

interface Verification {
  readonly intact: boolean
  readonly signed: boolean
  readonly chains: number
  readonly records: number
  readonly problems: readonly {
    readonly chain: string
    readonly seq: number
    readonly kind: string
    readonly detail: string
  }[]
}

const FOLLOW_MS = 1_000
const PAGE_MAX = 1_000

/** `tidemark journal`: who invalidated what, why and when; `tidemark journal verify`: whether nobody changed that. */
export function journalCommand(program: Command, terminal: Terminal, ends: Ends): void {
  const journal = onService(program.command('journal').summary('read the journal: who invalidated what, and why'))
    .description('Prints records of the journal, the newest last.')
    .helpCommand(false)
    .option('--actor <name>', 'of who asked')
    .option('--origin <origin>', 'request, edit, rows, ddl, effect, refill, gap, start or retention')
    .option('--target <name>', 'of a key, a tag, a pattern or a table')
    .option('--request-id <id>', 'of one request')
    .option('--from <time>', 'since then: 2026-01-31T12:00:00Z')
    .option('--to <time>', 'before then')
    .option('--scope <scope>', 'tenant; source: rows, DDL, gaps; all: of every tenant (default: tenant)')
    .option('--limit <count>', 'how many, at most 1000 (default: 50)')
    .option('--follow', 'go on with what comes, until Ctrl-C')
    .action(async (options: JournalOptions) => {
      const service = serviceOf(options, terminal)
      const { records } = await page(service, options, {})
      const shown = records.toReversed()
      if (options.json) terminal.out(lines(shown))
      else terminal.out(options.follow ? shown.map(lineOf).join('') : asTable(shown))
      if (options.follow) await follow(service, options, shown.at(-1)?.id ?? 0, terminal)
    })
  onService(journal.command('verify').summary('check that nobody changed the journal'))
    .description('Walks the hash chains and the signed heads. Ends with 1 if a record was changed, cut or taken out.')
    .option('--scope <scope>', 'tenant, source or all (default: tenant)')
    .action(async (_: object, command: Command) => {
      // Both have these options: what stands before `verify` counts too.
      const options = command.optsWithGlobals<JournalOptions>()
      const found = await serviceOf(options, terminal).ask<Verification>('/api/journal/verify', {
        query: { scope: options.scope },
      })
      terminal.out(options.json ? `${JSON.stringify(found, undefined, 2)}\n` : verdictOf(found))
      if (!found.intact) ends(1)
    })
}

function page(service: Service, options: JournalOptions, more: { limit?: number; cursor?: string }): Promise<Page> {
  const { scope, actor, origin, target, requestId, from, to, limit } = options
  const query = { scope, actor, origin, target, request_id: requestId, from, to, limit, ...more }
  return service.ask<Page>('/api/journal', { query })
}

/** Ids grow: what is newer than the last one that was shown is read from the newest backwards. */
async function follow(service: Service, options: JournalOptions, last: number, terminal: Terminal): Promise<void> {
  const { stopped } = terminal
  let newest = last
  while (!stopped.aborted) {
    await sleep(FOLLOW_MS, undefined, { signal: stopped }).catch(() => {})
    const fresh: Record[] = []
    let cursor: string | undefined
    do {
      const { records, cursor: next } = await page(service, options, {
        limit: PAGE_MAX,
        ...(cursor === undefined ? {} : { cursor }),
      })
      const unseen = records.filter(({ id }) => id > newest)
      fresh.push(...unseen)
      cursor = unseen.length === records.length ? (next ?? undefined) : undefined
    } while (cursor !== undefined && !stopped.aborted)
    fresh.reverse()
    newest = fresh.at(-1)?.id ?? newest
    terminal.out(options.json ? lines(fresh) : fresh.map(lineOf).join(''))
  }
}

function lines(records: readonly Record[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join('')
}

function targetOf({ pattern, keys, tags, tables }: Record): string {
  return [...(pattern === null ? [] : [pattern]), ...keys, ...tags.map((tag) => `tag ${tag}`), ...tables].join(', ')
}

/** Texts of others: quoted, so that no control character reaches the terminal. */
function lineOf(record: Record): string {
  const { timestamp, origin, triggered_by: by, cause } = record
  const parts = [
    timestamp,
    origin,
    JSON.stringify(targetOf(record)),
    by && `by ${JSON.stringify(by)}`,
    cause && JSON.stringify(cause),
  ]
  return `${parts.filter(Boolean).join('  ')}\n`
}

function asTable(records: readonly Record[]): string {
  const columns = ['id', 'time', 'origin', 'what', 'by', 'why', 'request', 'ms']
  return formatResult({
    tag: '',
    columns: columns.map((name) => ({ name, isNumber: name === 'id' || name === 'ms' })),
    rows: records.map((record) => [
      String(record.id),
      record.timestamp,
      record.origin,
      targetOf(record),
      record.triggered_by,
      record.cause,
      record.request_id,
      record.latency_ms === null ? null : record.latency_ms.toFixed(1),
    ]),
  })
}

function verdictOf({ intact, signed, chains, records, problems }: Verification): string {
  const amount = `${records.toLocaleString('en')} records in ${chains} ${chains === 1 ? 'chain' : 'chains'}`
  const heads = signed ? '' : ' Its heads are not signed: a tail that was cut off does not show.'
  if (intact) return `Intact: ${amount}.${heads}\n`
  const told = problems.map(({ chain, seq, kind, detail }) => `  ${chain} ${seq}: ${kind}: ${detail}\n`)
  return `Not intact: ${amount}.${heads}\n${told.join('')}`
}
