// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the variables of configuration files look like that
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../errors.js'
import { loadConfig, parseConfig } from './load.js'

const problems = (source: string, environment = {}) => {
  try {
    parseConfig(source, 'tidemark.yaml', environment)
  } catch (error) {
    if (error instanceof ConfigError)
      return error.problems.map(({ line, column, path, message }) => `${line}:${column} ${path} ${message}`)
    throw error
  }
  return []
}

describe('a configuration', () => {
  it('is read as the README shows it', () => {
    const config = parseConfig(
      `source: { url: \${DATABASE_URL} }
resources:
  post: { params: { id: bigint }, sql: "select * from posts where id = :id" }
  feed:
    params: { author: int8, rows: { type: integer, default: 20 }, status: { type: text, default: null } }
    sql: |
      select * from posts
      where author_id = :author and (status = :status or :status is null)
      limit :rows
    ttl: 10m
    grace: 1h
`,
      'x.yaml',
      { DATABASE_URL: 'postgres://u:p{#}: @h/d' },
    )
    expect(config.source).toEqual({
      url: 'postgres://u:p{#}: @h/d',
      directUrl: undefined,
      publication: undefined,
      slot: undefined,
      slotKeepMax: undefined,
      ackHold: undefined,
      ackHoldMax: undefined,
      connections: undefined,
      follow: 'auto',
    })
    const [post, feed] = config.resources
    expect(post).toMatchObject({ name: 'post', text: 'select * from posts where id = $1', order: ['id'], one: false })
    expect(feed).toMatchObject({
      text: 'select * from posts\nwhere author_id = $1 and (status = $2 or $2 is null)\nlimit $3',
      order: ['author', 'status', 'rows'],
      ttl: '10m',
      grace: '1h',
    })
    expect(feed?.params.map(({ name, type, fallback }) => [name, type, fallback])).toEqual([
      ['author', 'bigint', undefined],
      ['rows', 'integer', '20'],
      ['status', 'text', null],
    ])
    expect(config.server).toMatchObject({
      port: undefined,
      host: '127.0.0.1',
      heartbeatMs: 15_000,
      streamBufferMaxBytes: 262_144,
    })
  })

  it('may be empty', () => {
    expect(parseConfig('').resources).toEqual([])
  })

  it('names no database where the variable with its address is not set', () => {
    expect(parseConfig('source: { url: ${DATABASE_URL} }', 'x', {}).source.url).toBeUndefined()
    expect(parseConfig('source: { url: "${DATABASE_URL:-}" }', 'x', {}).source.url).toBeUndefined()
  })

  it('takes numbers from variables', () => {
    const config = parseConfig('server: { port: ${PORT:-9500}, heartbeat: ${BEAT:-1s} }', 'x', { BEAT: '2s' })
    expect(config.server).toMatchObject({ port: 9500, heartbeatMs: 2_000 })
  })

  it('tells every problem at once, with its line, its column and the fix', () => {
    const told = problems(`sources: {}
server: { host: "a b c", port: 70000, heartbeat: soon }
source: { url: mysql://x, publication: "\${NOBODY}" }
resources:
  "a b": { sql: select 1 }
  post:
    params: { id: bigit, "x y": text, unused: text }
    sql: select * from posts where id = :id and b = :b and c = $1
  feed: { sql: "", ttl: never, colour: red }
  list: select 1
  top: { params: { n: { type: integer, default: many } }, sql: "select :n" }
`)
    expect(told.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      '1:1 sources',
      '2:17 server.host',
      '2:32 server.port',
      '2:50 server.heartbeat',
      '3:16 source.url',
      '3:40 source.publication',
      '3:40 source.publication',
      '5:3 resources.a',
      '7:19 resources.post.params.id',
      '7:26 resources.post.params.x',
      '7:26 resources.post.params.x',
      '7:39 resources.post.params.unused',
      '8:53 resources.post.sql',
      '8:64 resources.post.sql',
      '9:16 resources.feed.sql',
      '9:25 resources.feed.ttl',
      '9:32 resources.feed.colour',
      '10:9 resources.list',
      '11:49 resources.top.params.n.default',
    ])
    expect(told.join('\n')).toMatch(/the variable NOBODY is not set; set it, or give a default: \$\{NOBODY:-…\}/)
    expect(told.join('\n')).not.toMatch(/mysql/)
  })

  it('lets others than this machine in only where it asks who they are, and with secrets that nobody knows', () => {
    expect(problems('server: { host: 0.0.0.0 }').join()).toMatch(/^1:17 server.host .*access\.tokens/)
    expect(parseConfig('server: { host: 0.0.0.0 }\naccess: { tokens: true }').server.host).toBe('0.0.0.0')
    const known = (secrets: string) =>
      problems(`access: { tokens: true }\n${secrets}`).map((line) => line.split(' ', 2)[1])
    for (const secret of [
      'changeme',
      'changemechangeme',
      'change-me',
      'Password123',
      'postgres',
      'secret',
      'my-secret',
    ])
      expect(known(`source: { url: "postgres://a:${secret}@host/db" }`), secret).toHaveLength(1)
    expect(known('source: { url: "postgres://a:q7-Bd_2xkeo@host/db" }')).toEqual([])
    expect(
      known('source: { slot: s }\nrelay: { redis: "redis://:changeme@h:1", secret: changemechangeme }'),
    ).toHaveLength(2)
    expect(parseConfig('source: { url: "postgres://postgres:postgres@localhost/db" }').source.url).toMatch(/postgres/)
  })

  it('takes keys of JWT from where nobody on the way can change them', () => {
    const jwks = (address: string) =>
      problems(`access: { jwt: { issuer: i, audience: a, jwks: "${address}" } }`).map((line) => line.split(' ', 2)[1])
    expect(jwks('http://login.example/keys')).toHaveLength(1)
    for (const address of ['https://login.example/keys', 'http://127.0.0.1:9/keys', 'keys.json'])
      expect(jwks(address), address).toEqual([])
    expect(problems('access: { jwt: { issuer: i, audience: a, jwks: k, algorithms: [HS256] } }')).toHaveLength(1)
    const oidc = (text: string, issuer = 'https://i.example/') =>
      problems(`access: { oidc: { issuer: "${issuer}", clientId: us, ${text} } }`)
    expect(oidc('roles: { staff: viewer }, tenants: [a], session: 1h')).toEqual([])
    for (const text of [
      'scopes: [profile]',
      'clientSecret: changeme',
      'roles: { staff: king }',
      'tenants: []',
      'session: 10s',
      'more: 1',
    ])
      expect(oidc(text).length, text).toBeGreaterThan(0)
    for (const issuer of ['http://i.example/', 'https://i.example/?a=b', 'i.example', ''])
      expect(oidc('tenants: all', issuer), issuer).toHaveLength(1)
    expect(problems('access: { jwt: { issuer: i, audience: a, jwks: k, algorithms: [none] } }')).toHaveLength(1)
  })

  it('reads a variable from the file that its _FILE names, where it is not set itself', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-variables-'))
    const file = join(folder, 'secret')
    writeFileSync(file, 'postgres://a:b@host/db\n')
    const urlWith = (environment: Record<string, string>) =>
      parseConfig('source: { url: "${ADDRESS}" }', 'tidemark.yaml', environment).source.url
    try {
      expect(urlWith({ ADDRESS_FILE: file })).toBe('postgres://a:b@host/db')
      expect(urlWith({ ADDRESS_FILE: file, ADDRESS: 'postgres://other/db' })).toBe('postgres://other/db')
      const told = problems('source: { url: "${ADDRESS}" }', { ADDRESS_FILE: join(folder, 'none') })
      expect(told.join()).toMatch(/^1:16 source\.url the file that ADDRESS_FILE names cannot be read/)
      // Where a secret is expected, none would open what it closes.
      for (const nothing of ['', '\n', '\r\n']) {
        writeFileSync(file, nothing)
        for (const path of ['source: { url: "${ADDRESS}" }', 'relay: { secret: "${ADDRESS:-of all who ask for it}" }'])
          expect(problems(path, { ADDRESS_FILE: file }).join()).toMatch(/the file that ADDRESS_FILE names is empty/)
      }
      writeFileSync(file, 'postgres://a:b@host/db')
      expect(urlWith({ ADDRESS_FILE: file, ADDRESS: '' })).toBe('postgres://a:b@host/db')
      expect(told.join()).not.toContain(folder)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('names the place in the SQL', () => {
    const told = problems(`resources:
  post:
    params: { id: bigit, unused: text }
    sql: |
      select * from posts
        where id = :id and b = :b and c = $1
`)
    expect(told.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      '3:19 resources.post.params.id',
      '3:26 resources.post.params.unused',
      '6:32 resources.post.sql',
      '6:43 resources.post.sql',
    ])
  })

  it('that is no YAML says where', () => {
    expect(problems('resources:\n  a: {\n b: [')[0]).toMatch(/^3:\d+ {2}this is not YAML/)
    expect(problems('a: 1\na: 2').join()).toMatch(/^2:1 {2}this is not YAML/)
    expect(problems('source: { url: ${DATABASE-URL} }')[0]).toMatch(/^1:16 {2}a variable has the form/)
  })

  it('holds no values of variables in its messages', () => {
    expect(
      problems('source: { url: ${SECRET}, follow: ${SECRET} }\nserver: { port: ${SECRET} }', {
        SECRET: 'hunter2',
      }).join(),
    ).not.toMatch(/hunter2/)
  })

  it('that does not exist says what to do', () => {
    expect(() => loadConfig('/nowhere/tidemark.yaml')).toThrow(
      /\/nowhere\/tidemark.yaml:1:1 {2}there is no such file; name one with --config/,
    )
  })

  it('finds the place in the file of a place in the numbered SQL', () => {
    const config = parseConfig(
      'resources:\n  a:\n    params: { first: text, second: text }\n    sql: >-\n      select :first, :second,\n      nowhere from x\n  b: { sql: "select nowhere" }\n',
    )
    const [a, b] = config.resources
    expect(a!.locate(0)).toEqual({ line: 4, column: 10 }) // folded: the line is not found, so where the value begins
    expect(b!.locate(b!.text.indexOf('nowhere'))).toEqual({ line: 7, column: 21 })
  })

  /** It might be wrong by letting a value become YAML, or by changing it. */
  it('takes any value of a variable as it is', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
        (secret) => {
          const { resources } = parseConfig('resources: { a: { sql: ${SQL} } }', 'x', { SQL: `select '${secret}'` })
          expect(resources[0]!.text).toBe(`select '${secret}'`)
        },
      ),
    )
  })
})
