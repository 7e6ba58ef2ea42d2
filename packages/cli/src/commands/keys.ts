import type { Command } from 'commander'
import { onService, type ServiceOptions, serviceOf } from '../service.js'
import { formatResult } from '../table.js'
import type { Terminal } from '../terminal.js'

interface KeysOptions extends ServiceOptions {
  readonly prefix?: string
  readonly search?: string
  readonly pattern?: string
  readonly syntax?: string
  readonly tag?: string
  readonly state?: string
  readonly sort?: string
  readonly order?: string
  readonly limit?: string
  readonly cursor?: string
  readonly all?: true
}

interface Key {
  readonly key: string
  readonly state: string
  readonly bytes: number
  readonly filled_at: string
  readonly expires_at?: string
  readonly tags: readonly string[]
}

interface Page {
  readonly keys: readonly Key[]
  readonly cursor?: string
}

/** `tidemark keys`: what is in the memory of the process that is asked. */
export function keysCommand(program: Command, terminal: Terminal): void {
  onService(program.command('keys').summary('list what is in the memory of a server'))
    .description('Lists the keys in the memory of the server that is asked: a page, or all of them with --all.')
    .option('--prefix <text>', 'keys that begin so')
    .option('--search <text>', 'keys that contain this')
    .option('--pattern <pattern>', 'keys that match: user:*, *:draft, or a regular expression with --syntax regex')
    .option('--syntax <syntax>', 'glob or regex')
    .option('--tag <tag>', 'keys with this tag')
    .option('--state <state>', 'fresh or expired')
    .option('--sort <by>', 'key, age, size or expiry')
    .option('--order <order>', 'asc or desc')
    .option('--limit <count>', 'keys of a page, at most 1000 (default: 50)')
    .option('--cursor <cursor>', 'where the page before ended')
    .option('--all', 'all pages')
    .action(async ({ all, ...options }: KeysOptions) => {
      const service = serviceOf(options, terminal)
      const { json, server: _, tenant: __, ...query } = options
      let { cursor } = options
      do {
        const asked = { ...query, ...(all && query.limit === undefined ? { limit: 1_000 } : {}), cursor }
        const page = await service.ask<Page>('/api/cache/keys', { query: asked })
        terminal.out(json ? lines(page.keys) : asTable(page.keys))
        cursor = page.cursor
      } while (all && cursor !== undefined)
      if (cursor !== undefined) terminal.err(`There are more: --all, or --cursor ${cursor}\n`)
    })
}

/** A line of JSON for each, so that what follows can begin before the last one is there. */
function lines(keys: readonly Key[]): string {
  return keys.map((key) => `${JSON.stringify(key)}\n`).join('')
}

function asTable(keys: readonly Key[]): string {
  const columns = ['key', 'state', 'bytes', 'filled', 'expires', 'tags']
  return formatResult({
    tag: '',
    columns: columns.map((name) => ({ name, isNumber: name === 'bytes' })),
    rows: keys.map(({ key, state, bytes, filled_at: filled, expires_at: expires, tags }) => [
      key,
      state,
      String(bytes),
      filled,
      expires ?? '',
      tags.join(', '),
    ]),
  })
}
