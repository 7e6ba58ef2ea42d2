// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the variables of configuration files look like that
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseConfig } from './load.js'
import { settingsOf } from './settings.js'

const SECRET = 'geheim-und-lang-genug'

let folder: string
let file: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-settings-'))
  file = join(folder, 'tidemark.yaml')
  writeFileSync(join(folder, 'secret'), `${SECRET}\n`)
  writeFileSync(
    file,
    `source:
  url: \${DATABASE_URL:-}
  slot: tidemark_shared
cache: { maxSilence: \${SILENCE:-7s} }
relay:
  redis: redis://u:${SECRET}@h:6379
  secret: \${RELAY_SECRET}
access:
  oidc: { issuer: https://login.example/, clientId: us, clientSecret: ${SECRET} }
  jwt: { issuer: i, audience: us, jwks: 'https://login.example/keys?api_key=${SECRET}&v=2' }
resources:
  one: { sql: select 1 as one }
`,
  )
})
afterAll(() => rmSync(folder, { recursive: true }))

function settings(environment: Record<string, string>, flags = {}) {
  const all = settingsOf(file, { RELAY_SECRET_FILE: join(folder, 'secret'), ...environment }, flags)
  return new Map(all.map(({ name, value, origin }) => [name, [value, origin.replaceAll(folder, '')]]))
}

test('each setting says where it is from, and no secret is among them', () => {
  const found = settings({ DATABASE_URL: `postgres://a:${SECRET}@h/d?sslpassword=${SECRET}`, SILENCE: '9s' })
  expect(found.get('source.url')).toEqual([
    'postgres://a:***@h/d?sslpassword=***',
    '/tidemark.yaml:2, environment DATABASE_URL',
  ])
  expect(found.get('source.slot')).toEqual(['tidemark_shared', '/tidemark.yaml:3'])
  expect(found.get('cache.maxSilence')).toEqual(['9s', '/tidemark.yaml:4, environment SILENCE'])
  expect(found.get('relay.redis')![0]).toBe('redis://u:***@h:6379')
  expect(found.get('relay.secret')).toEqual(['***', '/tidemark.yaml:7, environment RELAY_SECRET_FILE (/secret)'])
  expect(found.get('server.host')).toEqual(['127.0.0.1', 'default'])
  expect(found.get('cache.maxEntries')).toEqual([100_000, 'default'])
  expect(found.get('l2.redis')).toEqual([undefined, 'default'])
  expect(found.get('resources.one')).toEqual(['declared', '/tidemark.yaml:12'])
  expect(found.get('access.oidc.clientSecret')).toEqual(['***', '/tidemark.yaml:9'])
  expect(found.get('access.jwt.jwks')![0]).toBe('https://login.example/keys?api_key=***&v=2')
  expect(found.get('access.oidc.session')).toEqual(['8h', 'default'])
  expect(JSON.stringify([...found])).not.toContain(SECRET)
})

test('options go before the environment, and that before the file', () => {
  const environment = { TIDEMARK_PORT: '9500', TIDEMARK_DATA: '/d', NODE_ENV: 'production' }
  const found = settings(environment)
  expect(found.get('server.port')).toEqual([9500, 'environment TIDEMARK_PORT'])
  expect(found.get('data folder')).toEqual(['/d', 'environment TIDEMARK_DATA'])
  expect(found.get('profile')).toEqual(['production', 'environment NODE_ENV'])
  expect(found.get('cache.maxSilence')).toEqual(['7s', '/tidemark.yaml:4'])
  const told = settings(environment, { port: 0, data: 'here', role: 'follower' })
  expect(told.get('server.port')).toEqual([0, '--port'])
  expect(told.get('data folder')).toEqual(['here', '--data'])
  expect(told.get('relay.role')).toEqual(['follower', '--role'])
})

test('without a file or an environment it says that the server starts its own database', () => {
  const own = ['a private PostgreSQL in the data folder', 'default']
  expect(settings({}).get('source.url')).toEqual(own)
  expect(settings({ DATABASE_URL: '' }).get('source.url')).toEqual(own)
})

test('what a start would refuse is refused, also of the environment and of options', () => {
  writeFileSync(join(folder, 'small.yaml'), 'resources: {}\n')
  const small =
    (environment: Record<string, string>, flags = {}) =>
    () =>
      settingsOf(join(folder, 'small.yaml'), environment, flags)
  expect(small({})).not.toThrow()
  expect(small({ TIDEMARK_PORT: 'many' })).toThrow('TIDEMARK_PORT must be a port')
  expect(small({ DATABASE_URL_FILE: join(folder, 'none') })).toThrow('DATABASE_URL_FILE names cannot be read')
  writeFileSync(join(folder, 'empty'), '\n')
  expect(small({ DATABASE_URL_FILE: join(folder, 'empty') })).toThrow('DATABASE_URL_FILE names is empty')
  expect(small({}, { role: 'follower' })).toThrow('The role follower needs a relay')
})

test('a secret that everybody knows is refused in production, wherever it comes from', () => {
  const known = 'postgres://app:changeme@h/d'
  const problems = (text: string, environment: Record<string, string>) => {
    try {
      parseConfig(text, 'x.yaml', environment)
      return []
    } catch (error) {
      return (error as { problems: { path: string }[] }).problems.map(({ path }) => path)
    }
  }
  const inFile = `source: { url: "${known}" }\nresources: {}`
  expect(problems(inFile, {})).toEqual([])
  expect(problems(inFile, { NODE_ENV: 'production' })).toEqual(['source.url'])
  expect(problems(`profile: development\n${inFile}`, { NODE_ENV: 'production' })).toEqual([])
  expect(problems(`profile: production\n${inFile}`, {})).toEqual(['source.url'])
  expect(problems('resources: {}', { NODE_ENV: 'production', DATABASE_URL: known })).toEqual(['DATABASE_URL'])
  const beside = 'postgres://app@h/d?password=changeme'
  expect(problems(`profile: production\nsource: { url: "${beside}" }\nresources: {}`, {})).toEqual(['source.url'])
  expect(problems(`profile: production\njournal: { url: "${known}" }\nresources: {}`, {})).toEqual(['journal.url'])
  expect(problems('access: { tokens: true }\nresources: {}', { DATABASE_URL: known })).toEqual(['DATABASE_URL'])
})

test('what nobody sets has the default that docs/config.md names', () => {
  const empty = join(folder, 'empty.yaml')
  writeFileSync(empty, 'resources: {}\n')
  const found = settingsOf(empty, {})
  const documented = new Map<string, string>()
  let section = ''
  for (const line of readFileSync(new URL('../../../../docs/config.md', import.meta.url), 'utf8').split('\n')) {
    section = /^## (\w+)/.exec(line)?.[1] ?? section
    const [name, , told] = line.slice(2, -2).split(' | ')
    if (name?.match(/^`\w+`$/) && told !== undefined)
      documented.set(`${section}.${name.slice(1, -1)}`, told.replaceAll('`', ''))
  }
  const plain = found.filter(
    ({ name, value }) => documented.has(name) && typeof value !== 'object' && name !== 'source.url',
  )
  expect(plain.length).toBeGreaterThan(30)
  for (const { name, value } of plain) {
    const told = documented.get(name)!
    if (value === undefined) expect(told, name).toMatch(/^(?:none|no |HTTP)/)
    else expect(told.replaceAll(',', ''), name).toContain(String(value).replaceAll(',', '').replace('source.', ''))
  }
})
