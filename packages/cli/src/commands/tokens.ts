import type { StoredToken } from '@tidemark/server'
import type { Command } from 'commander'
import pg from 'pg'
import { type DatabaseOptions, onClient, onDatabase } from '../database.js'
import { StatementError, UsageError } from '../errors.js'
import { formatResult } from '../table.js'
import type { Ends, Terminal } from '../terminal.js'

interface CreateOptions extends DatabaseOptions {
  readonly name: string
  readonly role: readonly string[]
  readonly tenant?: readonly string[]
  readonly allTenants?: true
  readonly expires: string
}

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `tidemark tokens`: who may ask a server whose configuration says `access.tokens: true`. */
export function tokensCommand(program: Command, terminal: Terminal, ends: Ends): void {
  const tokens = program
    .command('tokens')
    .summary('make, list and revoke tokens')
    .description(
      'Tokens for a server whose configuration says `access.tokens: true`. They are kept in its database, as hashes.',
    )
    .helpCommand(false)
  onDatabase(tokens.command('create').summary('make a token, and print it: this once'))
    .description('Makes a token and prints it. It cannot be printed again: only its hash is kept.')
    .requiredOption('--name <name>', 'whose it is, or what for: the journal names it')
    .requiredOption('--role <role...>', 'viewer, operator, editor or admin')
    .option('--tenant <name...>', 'where it may do that')
    .option('--all-tenants', 'it may do that everywhere')
    .option('--expires <duration>', 'like 12h or 90d, or never', '90d')
    .action(async (options: CreateOptions) => {
      const { createToken } = await import('@tidemark/server')
      const wanted = {
        name: options.name,
        roles: options.role as StoredToken['roles'], // checked there
        tenants: tenantsOf(options),
        expiresInMs: expiryOf(options.expires),
      }
      const created = await onTokens(options, terminal, (client) => createToken(client, wanted))
      terminal.out(options.json ? asJson(created) : `${created.token}\n`)
      if (!options.json) terminal.err('This is the only time that it is shown.\n')
    })
  onDatabase(tokens.command('list').summary('list the tokens that were made')).action(
    async (options: DatabaseOptions) => {
      const { listTokens } = await import('@tidemark/server')
      const all = await onTokens(options, terminal, (client) => listTokens(client))
      terminal.out(options.json ? asJson(all) : asTable(all))
    },
  )
  onDatabase(tokens.command('revoke').summary('revoke a token'))
    .description('Revokes a token. Servers take it for none within 5 s, and end its streams.')
    .argument('<id>', 'as `tidemark tokens list` has it: not the token itself')
    .action(async (id: string, options: DatabaseOptions) => {
      const { revokeToken } = await import('@tidemark/server')
      const isRevoked = await onTokens(options, terminal, (client) => revokeToken(client, id))
      if (options.json) terminal.out(asJson({ id, revoked: isRevoked }))
      else if (isRevoked) terminal.out('Revoked: it counts nowhere within 5 s.\n')
      else terminal.err('There is no token of that id. `tidemark tokens list` has them.\n')
      if (!isRevoked) ends(1)
    })
}

/** What PostgreSQL refuses, with what that may mean here. */
async function onTokens<Result>(
  options: DatabaseOptions,
  terminal: Terminal,
  run: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  try {
    return await onClient(options, terminal, 'tidemark tokens', run)
  } catch (cause) {
    if (!(cause instanceof pg.DatabaseError)) throw cause
    const { code = 'XX000', message } = cause
    throw new StatementError(code, `${code} ${message}. Is this a role that may write the schema tidemark?`, { cause })
  }
}

function tenantsOf({ tenant, allTenants }: CreateOptions): StoredToken['tenants'] {
  if ((tenant === undefined) === (allTenants === undefined))
    throw new UsageError('Say where the token counts: --tenant <name>, or --all-tenants.')
  return tenant ?? 'all'
}

function expiryOf(text: string): number | undefined {
  if (text === 'never') return undefined
  const [, amount, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  if (!unit) throw new UsageError('--expires is a duration like 30m, 12h or 90d, or never.')
  return Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS]
}

function asJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}

function asTable(tokens: readonly StoredToken[]): string {
  const columns = ['id', 'name', 'roles', 'tenants', 'expires', 'revoked'].map((name) => ({ name, isNumber: false }))
  const rows = tokens.map(({ id, name, roles, tenants, expiresAt, revokedAt }) => [
    id,
    name,
    roles.join(', '),
    tenants === 'all' ? '(all)' : tenants.join(', '),
    expiresAt?.toISOString() ?? 'never',
    revokedAt?.toISOString() ?? '',
  ])
  return formatResult({ tag: '', columns, rows })
}
