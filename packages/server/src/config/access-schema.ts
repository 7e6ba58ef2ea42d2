import { z } from 'zod'
import { ROLES } from '../access/action.js'
import { duration, optionalText, whole } from './forms.js'

/** Signed with a private key: what verifies cannot sign. HMAC and `none` are left out on purpose. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/
/** What stands in examples, and in lists of those who try doors. */
const PLACEHOLDER =
  /^(?:(?:change|replace)[-_ ]?(?:me|it|this)|(?:my|your)?[-_ ]?(?:secret|password|passw0rd)|admin|default|example|test|todo|tidemark|postgres|x+|0+|1234\d*)+[!.\d]*$/i

/** Who is let in. */
export function accessSchema() {
  return z
    .strictObject({
      tokens: z.boolean('must be true or false').default(false),
      outage: duration().default(0),
      jwt: z
        .strictObject({
          issuer: text('must be the `iss` of the tokens, e.g. https://login.example.com/'),
          audience: text('must be the `aud` that stands for this server'),
          jwks: z
            .string('must be the address of the keys, or a file that has them')
            .refine(
              isKeysAddress,
              "must be an https address, or a file's path: whoever can change the keys on their way is let in",
            ),
          algorithms: z
            .array(z.enum(ALGORITHMS, `must be of ${ALGORITHMS.join(', ')}`))
            .min(1, 'must name at least one')
            .default(['RS256', 'PS256', 'ES256', 'EdDSA']),
          actorClaim: claim().default('sub'),
          rolesClaim: claim().default('roles'),
          tenantsClaim: claim().default('tenants'),
        })
        .optional(),
      oidc: z
        .strictObject({
          issuer: z
            .string('must be the address of the provider, e.g. https://login.example.com/')
            .refine(
              isProviderAddress,
              'must be an https address, as the provider names itself: without query or fragment',
            ),
          clientId: text('must be the id that the provider has given to this server'),
          clientSecret: optionalText(/^.{1,1000}$/s, 'must be the secret that the provider has given to this server'),
          scopes: z
            .array(text('must be words'))
            .refine((all) => all.includes('openid'), 'must have openid among them')
            .default(['openid', 'profile']),
          actorClaim: claim().default('sub'),
          rolesClaim: claim().default('roles'),
          roles: z
            .record(z.string(), z.enum(ROLES, `must be of ${ROLES.join(', ')}`), 'must be a mapping of groups to roles')
            .optional(),
          tenantsClaim: claim().default('tenants'),
          tenants: z
            .union(
              [z.literal('all'), z.array(text('must be names of tenants')).min(1)],
              'must be all, or a list of tenants',
            )
            .optional(),
          session: duration(60_000, 30 * 86_400_000).default('8h'),
        })
        .optional(),
    })
    .prefault({})
}

/** How much may be done. */
export function limitsSchema() {
  return z
    .strictObject({
      requests: whole(1).default(6_000),
      window: duration(1_000).default('1m'),
      keysPerUnit: whole(1).default(100),
      patterns: whole(1).default(20),
      streams: whole(1).default(5_000),
      memory: z.number('must be a part, above 0 and at most 1').gt(0).max(1).default(0.5),
      keys: whole(1).optional(),
      bytes: whole(1_024).optional(),
      tenants: z
        .record(
          z.string().min(1).max(256),
          z.strictObject({
            keys: whole(1).optional(),
            bytes: whole(1_024).optional(),
            patterns: whole(1).optional(),
            streams: whole(1).optional(),
          }),
        )
        .default({}),
    })
    .prefault({})
}

/** The files of a certificate and of its key. */
export function tls() {
  const file = (what: string) => text(`must be the file of the ${what}, as PEM`)
  return z.strictObject({ cert: file('certificate'), key: file('key') }).optional()
}

/** Names by which the server is reached. */
export function hosts() {
  const message = 'must be names of hosts, e.g. [tidemark.internal], with a port or without'
  return z.array(z.string(message).regex(/^(?:[\w.-]{1,253}|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i, message)).default([])
}

/** Pages of these origins may ask. */
export function origins() {
  const message = 'must be origins, e.g. [https://app.example.com]: no path, no `*`'
  return z.array(z.string(message).regex(/^https?:\/\/[^/?#@*\s]+$/, message)).default([])
}

interface Asking {
  readonly tokens: boolean
  readonly jwt?: object | undefined
  readonly oidc?: object | undefined
}

/** Whether anybody must say who they are. */
export function asksWho({ tokens, jwt, oidc }: Asking): boolean {
  return tokens || jwt !== undefined || oidc !== undefined
}

interface Exposed {
  readonly profile: 'development' | 'production'
  readonly source: { readonly url?: string | undefined; readonly directUrl?: string | undefined }
  readonly l2: { readonly redis?: string | undefined }
  readonly relay: { readonly redis?: string | undefined; readonly secret?: string | undefined }
  readonly journal: { readonly url?: string | undefined }
  readonly access: Asking & { readonly oidc?: { readonly clientSecret?: string | undefined } | undefined }
  readonly server: { readonly host: string }
}

/** What must not be so in production, or where others than this machine can reach the server. */
export function checkExposure({ profile, source, l2, relay, journal, access, server }: Exposed) {
  const isKnown = asksWho(access)
  if (!isKnown && !LOOPBACK.test(server.host)) {
    return [
      {
        path: ['server', 'host'],
        message:
          'must be a loopback address (127.0.0.1, ::1 or localhost), or access.tokens, access.jwt or access.oidc must be set: nobody but this machine may come in unasked',
      },
    ]
  }
  if (!isKnown && profile === 'development') return []
  const secrets = [
    { path: ['source', 'url'], secret: passwordOf(source.url) },
    { path: ['source', 'directUrl'], secret: passwordOf(source.directUrl) },
    { path: ['l2', 'redis'], secret: passwordOf(l2.redis) },
    { path: ['relay', 'redis'], secret: passwordOf(relay.redis) },
    { path: ['journal', 'url'], secret: passwordOf(journal.url) },
    { path: ['relay', 'secret'], secret: relay.secret },
    { path: ['access', 'oidc', 'clientSecret'], secret: access.oidc?.clientSecret },
  ]
  return secrets
    .filter(({ secret }) => secret !== undefined && PLACEHOLDER.test(secret))
    .map(({ path }) => ({
      path,
      message: 'has a secret that everybody knows, like `changeme`: draw one, e.g. with `openssl rand -base64 24`',
    }))
}

function passwordOf(address: string | undefined): string | undefined {
  if (address === undefined || !URL.canParse(address)) return undefined
  const { password, searchParams } = new URL(address)
  // PostgreSQL's clients take this one.
  if (searchParams.has('password')) return searchParams.get('password') || undefined
  try {
    return decodeURIComponent(password) || undefined
  } catch {
    return password
  }
}

function isKeysAddress(address: string): boolean {
  if (!/^https?:/.test(address)) return address !== ''
  return URL.canParse(address) && (address.startsWith('https:') || LOOPBACK.test(bareHost(new URL(address).hostname)))
}

/** Its tokens come from there: whoever can change them on their way is let in. */
function isProviderAddress(address: string): boolean {
  return /^https?:/.test(address) && !/[?#]/.test(address) && isKeysAddress(address)
}

function bareHost(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '')
}

function text(message: string) {
  return z.string(message).min(1, message).max(1_000, message)
}

function claim() {
  return text("must be a claim's name")
}
