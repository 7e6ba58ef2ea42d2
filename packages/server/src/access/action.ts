/** What somebody may do, least first: each role may do what those before it may. */
export const ROLES = ['viewer', 'operator', 'editor', 'admin'] as const

/**
 * viewer: reads. operator: also invalidates, and reads the journal. editor: also writes entries. admin: also decides who may
 * do what.
 */
export type Role = (typeof ROLES)[number]

/**
 * What a route does, as far as rights are concerned; each route declares one.
 *
 * - `open`: for anybody, also without a token
 * - `describe`: for whoever is known
 * - `readResources`: declared resources; their rows belong to the database, so to the tenant `default`
 * - `read`, `invalidate`, `readJournal`, `write`, `administer`: in the tenant that the request names
 * - `observe`, `operate`, `govern`: what concerns every tenant, to see, to change, or to decide
 */
export type Action = keyof typeof ACTIONS

/** `tenant`: the one that the request names; `server`: all of them at once. */
type Reach = 'open' | 'known' | 'default' | 'tenant' | 'server'

interface Right {
  readonly role: Role
  readonly reach: Reach
}

export const ACTIONS = {
  open: { role: 'viewer', reach: 'open' },
  describe: { role: 'viewer', reach: 'known' },
  readResources: { role: 'viewer', reach: 'default' },
  read: { role: 'viewer', reach: 'tenant' },
  observe: { role: 'viewer', reach: 'server' },
  invalidate: { role: 'operator', reach: 'tenant' },
  readJournal: { role: 'operator', reach: 'tenant' },
  operate: { role: 'operator', reach: 'server' },
  write: { role: 'editor', reach: 'tenant' },
  administer: { role: 'admin', reach: 'tenant' },
  govern: { role: 'admin', reach: 'server' },
} as const satisfies Readonly<Record<string, Right>>

/** Whether one of `roles` is `needed` or more. */
export function hasRole(roles: readonly Role[], needed: Role): boolean {
  return roles.some((role) => ROLES.indexOf(role) >= ROLES.indexOf(needed))
}
