import { afterEach, beforeEach, expect, it } from 'vitest'
import { CONFIG, fakeServer } from './fake-database.js'
import { startIssuer } from './issuer.js'

const PAGE = 'https://app.example.com'
let issuer: Awaited<ReturnType<typeof startIssuer>>
let server: Awaited<ReturnType<typeof fakeServer>>

beforeEach(async () => {
  issuer = await startIssuer()
  server = await fakeServer({ config: `${CONFIG}${issuer.config}server: { origins: [${PAGE}] }\n` })
})

afterEach(async () => {
  await server.close()
  issuer.close()
})

const ask = (headers: Record<string, string>, method: 'GET' | 'OPTIONS' = 'GET') =>
  server.app.inject({ method, url: '/api/resources/posts', headers })

it('a page of an origin that is named may ask, with a token of its own and no cookie', async () => {
  const authorization = `Bearer ${await issuer.sign()}`
  const answer = await ask({ origin: PAGE, authorization, 'sec-fetch-site': 'cross-site' })
  expect(answer.statusCode).toBe(200)
  expect(answer.headers['access-control-allow-origin']).toBe(PAGE)
  expect(answer.headers['access-control-expose-headers']).toContain('Tidemark-Position')
  expect(answer.headers['access-control-allow-credentials']).toBe(undefined)
  expect(answer.headers['vary']).toContain('Origin')

  const refused = await ask({ origin: PAGE })
  expect([refused.statusCode, refused.headers['access-control-allow-origin']]).toEqual([401, PAGE])
})

it('is told beforehand what it may send, without a token', async () => {
  const preflight = await ask({ origin: PAGE, 'access-control-request-method': 'GET' }, 'OPTIONS')
  expect(preflight.statusCode).toBe(204)
  expect(preflight.body).toBe('')
  expect(preflight.headers['access-control-allow-origin']).toBe(PAGE)
  expect(preflight.headers['access-control-allow-headers']).toContain('Authorization')
})

it('no other page is told anything, also not with a token', async () => {
  const authorization = `Bearer ${await issuer.sign()}`
  const others = [
    'https://app.example.com.attacker.example',
    'https://attacker.example',
    'http://app.example.com',
    'https://app.example.com:444',
    'https://sub.app.example.com',
    'null',
    '*',
    `${PAGE}, https://attacker.example`,
  ]
  for (const origin of others) {
    for (const answer of [
      await ask({ origin, authorization }),
      await ask({ origin, 'access-control-request-method': 'GET' }, 'OPTIONS'),
    ]) {
      expect([answer.statusCode, answer.json().code], origin).toEqual([403, 'TIDEMARK_FOREIGN_ORIGIN'])
      expect(answer.headers['access-control-allow-origin'], origin).toBe(undefined)
    }
  }
})
