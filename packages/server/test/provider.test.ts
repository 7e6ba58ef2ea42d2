import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { systemClock } from 'tidemark'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { Provider } from '../src/access/provider.js'
import { isOwnPath } from '../src/access/sign-in.js'
import { parseConfig } from '../src/config/load.js'

/* A provider that says what no honest one would: its signature, its names and its times are looked at, whatever carried them here. */

const RETURN = 'http://127.0.0.1:1/auth/callback'

let server: Server
let issuer: string
let provider: Provider
let idToken = ''
let userinfo: object = {}
let keys: Awaited<ReturnType<typeof generateKeyPair>>

beforeAll(async () => {
  keys = await generateKeyPair('ES256', { extractable: true })
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }
  const answers: Record<string, () => object> = {
    '/.well-known/openid-configuration': () => ({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/keys`,
      userinfo_endpoint: `${issuer}/me`,
      response_types_supported: ['code'],
      id_token_signing_alg_values_supported: ['ES256'],
    }),
    '/token': () => ({ access_token: 'a', token_type: 'Bearer', id_token: idToken }),
    '/keys': () => ({ keys: [jwk] }),
    '/me': () => userinfo,
  }
  server = createServer((request, response) => {
    const answer = answers[request.url!]
    response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer?.() ?? {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { access } = parseConfig(`access: { oidc: { issuer: "${issuer}", clientId: us } }\nresources: {}`, 'a.yaml', {})
  provider = new Provider(access.oidc!, systemClock)
})
afterAll(() => {
  server?.closeAllConnections()
  server?.close()
})

/** What comes of a sign-in that ends with these claims. */
async function outcome(
  claims: JWTPayload,
  key: CryptoKey = keys.privateKey,
  header = {},
  told: object = { sub: 'ann' },
) {
  const { pending } = await provider.begin(RETURN)
  const now = Math.floor(Date.now() / 1_000)
  const usual = { iss: issuer, aud: 'us', sub: 'ann', iat: now, exp: now + 60, nonce: pending.nonce }
  idToken = await new SignJWT({ ...usual, ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: 'k1', ...header })
    .sign(key)
  userinfo = told
  return provider.finish(new URL(`${RETURN}?code=c&state=${pending.state}`), pending).then(
    ({ name, principal, roles, tenants }) => ({ name, principal, roles, tenants }),
    (error) => error.code,
  )
}

describe('a sign-in', () => {
  it('is asked for with PKCE, state and nonce, new ones each time', async () => {
    const [one, other] = [await provider.begin(RETURN), await provider.begin(RETURN)]
    const sent = new URL(one.url).searchParams
    expect(Object.fromEntries(sent)).toMatchObject({
      response_type: 'code',
      client_id: 'us',
      redirect_uri: RETURN,
      scope: 'openid profile',
      code_challenge_method: 'S256',
      state: one.pending.state,
      nonce: one.pending.nonce,
    })
    expect(one.url).not.toContain(one.pending.verifier)
    for (const name of ['state', 'nonce', 'verifier'] as const) {
      expect(one.pending[name]).not.toBe(other.pending[name])
      expect(one.pending[name].length).toBeGreaterThanOrEqual(43)
    }
  })

  it('ends with what the signed claims say, and what the provider tells besides', async () => {
    const principal = `oidc:${JSON.stringify([issuer, 'ann'])}`
    expect(await outcome({ roles: ['viewer'], tenants: ['a'] })).toEqual({
      name: 'ann',
      principal,
      roles: ['viewer'],
      tenants: ['a'],
    })
    const told = { sub: 'ann', roles: 'admin king', tenants: '*' }
    expect(await outcome({}, undefined, {}, told)).toEqual({ name: 'ann', principal, roles: ['admin'], tenants: 'all' })
    // What is signed goes before what is told.
    expect(await outcome({ roles: ['viewer'] }, undefined, {}, told)).toMatchObject({
      roles: ['viewer'],
      tenants: 'all',
    })
    expect(await outcome({})).toEqual({ name: 'ann', principal, roles: [], tenants: [] })
    expect(await outcome({}, undefined, {}, { ...told, sub: 'root' })).toBe('TIDEMARK_PROVIDER')
  })

  it('bears clocks that differ by 30 s, and no more', async () => {
    const now = Math.floor(Date.now() / 1_000)
    const all = { roles: [], tenants: [] }
    expect(await outcome({ ...all, iat: now + 20, nbf: now + 20, exp: now + 80 })).toMatchObject({ name: 'ann' })
    expect(await outcome({ ...all, iat: now - 80, exp: now - 15 })).toMatchObject({ name: 'ann' })
    expect(await outcome({ ...all, nbf: now + 90, exp: now + 180 })).toBe('TIDEMARK_SIGN_IN')
    expect(await outcome({ ...all, iat: now - 180, exp: now - 60 })).toBe('TIDEMARK_SIGN_IN')
  })

  it('is of this provider, for this server, of this browser, signed by a key of the provider', async () => {
    const wrong: JWTPayload[] = [
      { iss: 'https://attacker.example' },
      { aud: 'another' },
      { aud: ['us', 'another'], azp: 'another' },
      { nonce: 'of another sign-in' },
      { nonce: undefined as never },
      { sub: undefined as never },
      { exp: undefined as never },
      { sub: 'two\nlines', roles: [], tenants: [] },
    ]
    for (const claims of wrong) expect(await outcome(claims), JSON.stringify(claims)).toBe('TIDEMARK_SIGN_IN')
    const attacker = await generateKeyPair('ES256')
    expect(await outcome({}, attacker.privateKey)).toBe('TIDEMARK_SIGN_IN')
    expect(await outcome({}, keys.privateKey, { kid: 'unknown' })).toBe('TIDEMARK_SIGN_IN')
  })
})

test('no path that is taken for one of this server leads a browser elsewhere', () => {
  const part = fc.constantFrom(
    '/',
    '\\',
    '//',
    ':',
    '@',
    'a',
    '.',
    '..',
    '?',
    '#',
    '%2f',
    '\t',
    '\n',
    'https:',
    'x.example',
    ' ',
    '\u0000',
    '／',
  )
  const path = fc.oneof(
    fc.array(part, { maxLength: 8 }).map((parts) => parts.join('')),
    fc.webUrl(),
    fc.webPath(),
    fc.string(),
  )
  let taken = 0
  fc.assert(
    fc.property(path, (text) => {
      if (!isOwnPath(text)) return
      taken++
      for (const own of ['https://a.example', 'http://127.0.0.1:9400']) expect(new URL(text, own).origin).toBe(own)
      expect(text).toMatch(/^\/[^/\\]|^\/$/)
    }),
    { numRuns: Number(process.env['FC_RUNS'] ?? 2_000) },
  )
  expect(taken).toBeGreaterThan(20)
})
