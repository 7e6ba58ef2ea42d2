import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportSPKI, generateKeyPair, importJWK, type JWTPayload, SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { jwtVerifier } from '../src/access/jwt.js'
import { AUDIENCE, ISSUER, startIssuer } from './issuer.js'

let issuer: Awaited<ReturnType<typeof startIssuer>>
let keys: Server | undefined

beforeAll(async () => {
  issuer = await startIssuer()
})
afterAll(() => issuer?.close())
afterEach(() => {
  keys?.closeAllConnections()
  keys?.close()
})

const configOf = (jwks = issuer.jwks) => ({
  issuer: ISSUER,
  audience: AUDIENCE,
  jwks,
  algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
  actorClaim: 'sub',
  rolesClaim: 'roles',
  tenantsClaim: 'tenants',
})

const outcome = (token: string, verify = jwtVerifier(configOf())) =>
  verify(token).then(
    ({ actor, roles, tenants }) => ({ actor, roles, tenants }),
    (error) => error.code,
  )

const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')

describe('a JWT', () => {
  it('says who it is, which roles and which tenants, in lists or words', async () => {
    expect(await outcome(await issuer.sign())).toEqual({ actor: 'ann', roles: ['viewer'], tenants: ['default'] })
    const words = await issuer.sign({ roles: 'king operator', tenants: 'a b' })
    expect(await outcome(words)).toEqual({ actor: 'ann', roles: ['operator'], tenants: ['a', 'b'] })
    expect(await outcome(await issuer.sign({ tenants: ['*'] }))).toMatchObject({ tenants: 'all' })
  })

  it('that says nothing of rights gives none', async () => {
    for (const claim of [undefined, null, 7, {}, [], [7, null, '']])
      expect(await outcome(await issuer.sign({ roles: claim, tenants: claim }))).toEqual({
        actor: 'ann',
        roles: [],
        tenants: [],
      })
  })

  it('is of this issuer, for this server, and of now', async () => {
    const now = Math.floor(Date.now() / 1_000)
    const wrong = [
      { iss: 'https://attacker.example/' },
      { iss: undefined },
      { aud: 'another' },
      { aud: undefined },
      { exp: now - 60 },
      { exp: undefined },
      { nbf: now + 600 },
      { sub: undefined },
      { sub: '' },
      { sub: 'two\nlines' },
      { sub: 7 as never },
    ]
    for (const claims of wrong)
      expect(await outcome(await issuer.sign(claims as JWTPayload)), JSON.stringify(claims)).toBe(
        'TIDEMARK_UNAUTHENTICATED',
      )
  })

  it('is signed by a key of the issuer, and by no other way', async () => {
    const claims = {
      iss: ISSUER,
      aud: AUDIENCE,
      sub: 'mallory',
      exp: Math.floor(Date.now() / 1_000) + 600,
      roles: ['admin'],
      tenants: ['*'],
    }
    const attacker = await generateKeyPair('ES256', { extractable: true })
    const good = await issuer.sign()
    const [header, payload, signature] = good.split('.') as [string, string, string]
    const publicPem = await exportSPKI((await importJWK(issuer.jwk, 'ES256')) as CryptoKey)
    const hmac = (secret: string) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
        .sign(new TextEncoder().encode(secret.padEnd(64)))
    const forged = {
      unsigned: `${encoded({ alg: 'none' })}.${encoded(claims)}.`,
      'unsigned, in other letters': `${encoded({ alg: 'nOnE' })}.${encoded(claims)}.`,
      'by another key under the known name': await issuer.sign(claims, attacker.privateKey),
      'by a key of its own in the header': await issuer.sign(claims, attacker.privateKey, { jwk: issuer.jwk }),
      'by a key at an address of its own': await issuer.sign(claims, attacker.privateKey, {
        jku: 'http://127.0.0.1:1/',
      }),
      'by a key of an unknown name': await issuer.sign(claims, attacker.privateKey, { kid: '../../etc/passwd' }),
      'by the public key as an HMAC secret': await hmac(publicPem),
      'of other claims': `${header}.${encoded(claims)}.${signature}`,
      'without its signature': `${header}.${payload}.`,
      'with a signature of zeros': `${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`,
      'of parts that are none': 'a.b.c',
      empty: '',
      'with an extension that must be understood': await issuer
        .sign({}, undefined, { crit: ['b64'], b64: false })
        .catch(() => 'a.b.c'),
    }
    for (const [how, token] of Object.entries(forged))
      expect(await outcome(token), how).toBe('TIDEMARK_UNAUTHENTICATED')
    expect(await outcome(good)).toMatchObject({ actor: 'ann' })
  })

  it('is checked with keys from the address of the issuer; while that does not answer, it is not known', async () => {
    let answer: 'keys' | 'nothing' | 'nonsense' = 'nothing'
    keys = createServer((_, response) => {
      if (answer === 'nothing') response.writeHead(500).end()
      else
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(answer === 'keys' ? JSON.stringify({ keys: [issuer.jwk] }) : '{')
    })
    await new Promise<void>((resolve) => keys!.listen(0, '127.0.0.1', resolve))
    const verify = jwtVerifier(configOf(`http://127.0.0.1:${(keys.address() as AddressInfo).port}/`))
    const token = await issuer.sign()
    expect(await outcome(token, verify)).toBe('TIDEMARK_ACCESS_UNKNOWN')
    answer = 'nonsense'
    expect(await outcome(token, verify)).toBe('TIDEMARK_ACCESS_UNKNOWN')
    answer = 'keys'
    expect(await outcome(token, verify)).toMatchObject({ actor: 'ann' })
    answer = 'nothing'
    expect(await outcome(token, verify)).toMatchObject({ actor: 'ann' })
  })

  it('needs keys that can be read', () => {
    expect(() => jwtVerifier(configOf('/nowhere/keys.json'))).toThrow('access.jwt.jwks')
  })
})
