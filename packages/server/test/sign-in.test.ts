import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import type { Page, Browser as RealBrowser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { launchBrowser } from '../../../examples/blog/test/browser.js'
import { lacks } from '../../../test/machine.js'
import { parseConfig, type Running, serve } from '../src/index.js'
import { Browser } from './browser.js'
import { EventStream } from './event-stream.js'
import { CLIENT, startProvider } from './provider.js'
import { BOUND, CONFIG, SCHEMA, sql, temporaryFolder } from './serving.js'
import { until } from './until.js'

/* People sign in at a real provider, with as much of a browser as that takes. Somebody might come in who did not, or stay who has left. */

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  ann: ['readers', 'cooks'],
  vera: ['readers'],
  root: ['owners'],
}
const SESSION = 'tidemark-session'
const PENDING = 'tidemark-sign-in'

let database: TestDatabase
let provider: Awaited<ReturnType<typeof startProvider>>
let folder: ReturnType<typeof temporaryFolder>
let server: Running
const streams: EventStream[] = []

const start = () => {
  const oidc =
    `oidc: { issuer: "${provider.issuer}", clientId: ${CLIENT.id}, clientSecret: "${CLIENT.secret}", ` +
    'rolesClaim: groups, roles: { readers: viewer, cooks: editor, owners: admin }, tenants: all }'
  const access = `access: { tokens: true, outage: 1m, ${oidc} }\nserver: { origins: ["https://friend.example"] }\n`
  const config = parseConfig(`source: { url: "${database.url}" }\n${access}${CONFIG}`, 'tidemark.yaml', {})
  return serve({ config, port: 0, env: {}, dataDir: folder.path, signals: false, logLevel: 'silent' })
}

beforeAll(async () => {
  provider = await startProvider((name) => GROUPS[name] ?? [])
  database = await testDatabase({ settings: {} })
  await sql(database.url, SCHEMA)
  folder = temporaryFolder()
  server = await start()
})
afterEach(() => {
  for (const stream of streams.splice(0)) stream.close()
})
afterAll(async () => {
  await server?.close()
  await database?.drop()
  await provider?.close()
  folder?.remove()
})

const at = (path: string) => server.url + path
const callback = () => at('/auth/callback')
const isBack = (url: string) => url.startsWith(callback())

async function signedIn(name: string): Promise<Browser> {
  const browser = new Browser()
  expect((await browser.signIn(at('/auth/sign-in?return_to=/auth/me'), name)).text).toContain('"by":"session"')
  return browser
}

function invalidate(browser: Browser, headers: Record<string, string> = {}) {
  const body = JSON.stringify({ keys: ['x'] })
  return browser.ask(at('/api/invalidate'), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  })
}

function follow(browser: Browser): EventStream {
  const url = at('/api/streams/post?id=1')
  const stream = new EventStream(url, { cookie: browser.cookieFor(url) })
  streams.push(stream)
  return stream
}

describe('while the provider is down', () => {
  it('nobody signs in, which is said, and all else goes on', BOUND, async () => {
    const browser = new Browser()
    expect(await browser.ask(at('/auth/sign-in'))).toMatchObject({ status: 503, code: 'TIDEMARK_PROVIDER' })
    const me = JSON.parse((await browser.ask(at('/auth/me'))).text)
    expect(me).toMatchObject({ known: false, actor: null, roles: [], sign_in: '/auth/sign-in', sign_out: null })
    expect((await browser.ask(at('/health/live'))).status).toBe(200)
    await provider.start(callback())
    await until(async () => (await browser.ask(at('/auth/sign-in'))).status === 302)
  })
})

describe('who signs in', () => {
  it('comes back to the page, and may do what the groups stand for', BOUND, async () => {
    const browser = new Browser()
    const page = await browser.signIn(at('/auth/sign-in?return_to=%2Fauth%2Fme%3F'), 'ann')
    expect(page.url).toBe(at('/auth/me?'))
    expect(JSON.parse(page.text)).toEqual({
      known: true,
      actor: 'ann',
      roles: ['viewer', 'editor'],
      tenants: 'all',
      by: 'session',
      expires_at: expect.stringMatching(/^20.*Z$/),
      sign_in: '/auth/sign-in',
      sign_out: '/auth/sign-out',
    })
    const set = browser.set.find((each) => each.startsWith(`${SESSION}=tds_`))!
    expect(set).toMatch(/HttpOnly/)
    expect(set).toMatch(/SameSite=Lax/)
    expect(set).toMatch(/Path=\//)
    expect(set).toMatch(/Max-Age=28800/)
    expect(browser.cookie(PENDING)).toBe(undefined)
    expect((await browser.ask(at('/api/resources/post?id=1'))).text).toContain('"post 1"')
    expect((await browser.ask(at('/api/sessions'))).code).toBe('TIDEMARK_FORBIDDEN')
    const stored = await sql(database.url, 'select s::text as row from tidemark.sessions s')
    expect(JSON.stringify(stored)).not.toContain(browser.cookie(SESSION)!.slice(-43))
  })

  it('changes something only from a page of this server', BOUND, async () => {
    const browser = await signedIn('ann')
    expect(await invalidate(browser)).toMatchObject({ status: 403, code: 'TIDEMARK_CSRF' })
    expect((await invalidate(browser, { 'tidemark-csrf': '1' })).status).toBe(200)
    expect((await invalidate(browser, { 'tidemark-csrf': '1', origin: server.url })).status).toBe(200)
    // A page that may ask has to have a token of its own.
    const friend = { origin: 'https://friend.example', 'tidemark-csrf': '1' }
    expect(await invalidate(browser, friend)).toMatchObject({ status: 401 })
    const stranger = { origin: 'https://stranger.example', 'tidemark-csrf': '1' }
    expect(await invalidate(browser, stranger)).toMatchObject({ status: 403, code: 'TIDEMARK_FOREIGN_ORIGIN' })
    const preflight = await fetch(at('/api/invalidate'), {
      method: 'OPTIONS',
      headers: { origin: 'https://friend.example', 'access-control-request-method': 'POST' },
    })
    expect(preflight.headers.get('access-control-allow-headers')).not.toMatch(/csrf/i)
    expect(preflight.headers.get('access-control-allow-credentials')).toBe(null)
  })

  it('follows streams until they sign out, and counts for nothing then', BOUND, async () => {
    const browser = await signedIn('ann')
    const other = await signedIn('ann')
    const [stream, another] = [follow(browser), follow(other)]
    await until(() => stream.events.length + another.events.length === 2)
    const cookie = browser.cookieFor(at('/'))
    const signOut = (headers: Record<string, string>) => browser.ask(at('/auth/sign-out'), { method: 'POST', headers })
    expect(await signOut({})).toMatchObject({ status: 403, code: 'TIDEMARK_CSRF' })
    const left = await signOut({ 'tidemark-csrf': '1' })
    expect(JSON.parse(left.text).provider).toContain(`${provider.issuer}/session/end?client_id=tidemark`)
    expect(browser.cookie(SESSION)).toBe(undefined)
    browser.forge(cookie)
    await until(async () => (await browser.ask(at('/api/resources/post?id=1'))).status === 401)
    expect(JSON.parse((await browser.ask(at('/auth/me'))).text).known).toBe(false)
    await until(() => stream.isEnded)
    expect(JSON.parse(stream.last!.data).code).toBe('TIDEMARK_UNAUTHENTICATED')
    expect(another.isEnded).toBe(false)
    expect((await browser.ask(at('/auth/sign-out'), { method: 'POST' })).status).toBe(200)
  })

  it('is ended by an admin, at whatever process', BOUND, async () => {
    const [ann, root] = [await signedIn('ann'), await signedIn('root')]
    const stream = follow(ann)
    await until(() => stream.events.length === 1)
    const { sessions } = JSON.parse((await root.ask(at('/api/sessions'))).text)
    const own = sessions.filter(({ actor }: { actor: string }) => actor === 'ann')
    expect(own.length).toBeGreaterThan(0)
    const end = (id: string) =>
      root.ask(at(`/api/sessions/${id}`), { method: 'DELETE', headers: { 'tidemark-csrf': '1' } })
    for (const { id } of own.slice(1)) expect((await end(id)).status).toBe(200)
    expect((await end('0123456789abcdef')).code).toBe('TIDEMARK_SESSION_UNKNOWN')
    expect(stream.isEnded).toBe(false)
    // As another process would.
    await sql(database.url, `delete from tidemark.sessions where id = '${own[0].id}'`)
    await until(() => stream.isEnded)
    await until(async () => (await ann.ask(at('/api/resources/post?id=1'))).status === 401)
  })

  it('stays signed in when another process answers, until the session expires', BOUND, async () => {
    const browser = await signedIn('ann')
    const { port } = server
    await server.close()
    server = await start()
    expect(server.port).not.toBe(port)
    expect((await browser.ask(at('/api/resources/post?id=1'))).status).toBe(200)
    await sql(database.url, 'update tidemark.sessions set expires_at = now()')
    await until(async () => (await browser.ask(at('/api/resources/post?id=1'))).status === 401)
    await provider.start(callback())
  })

  it('does so also after the provider has changed its keys', BOUND, async () => {
    await signedIn('ann')
    await provider.start(callback())
    await signedIn('ann')
  })
})

describe('nobody is signed in', () => {
  it('by what was not begun in this browser, or is used twice', BOUND, async () => {
    const [victim, attacker] = [new Browser(), new Browser()]
    const stopped = await attacker.signIn(at('/auth/sign-in'), 'mallory', isBack)
    const link = new URL(stopped.headers.get('location')!, stopped.url).href
    expect(isBack(link)).toBe(true)
    // The link with the attacker's code, sent to somebody who has begun nothing, or something else.
    const refused = { status: 400, code: 'TIDEMARK_SIGN_IN' }
    expect(await victim.ask(link)).toMatchObject(refused)
    await victim.ask(at('/auth/sign-in'))
    expect(await victim.ask(link)).toMatchObject(refused)
    const pending = attacker.cookie(PENDING)!
    expect((await attacker.ask(link)).status).toBe(302)
    attacker.forge(`${PENDING}=${pending}`)
    expect(await attacker.ask(link)).toMatchObject(refused)
    expect(victim.cookie(SESSION)).toBe(undefined)
  })

  it('by answers that are none', BOUND, async () => {
    const browser = new Browser()
    const begin = async () => {
      const sent = await browser.ask(at('/auth/sign-in'))
      return new URL(sent.headers.get('location')!).searchParams.get('state')
    }
    const state = await begin()
    for (const query of [
      '',
      '?code=x',
      `?code=x&state=${state}`,
      `?state=${state}`,
      `?code=x&state=${state}&state=${state}`,
      `?error=access_denied&state=${state}`,
      `?code=x&state=${state}&iss=https://attacker.example`,
      `?id_token=x&state=${state}`,
    ])
      expect(await browser.ask(callback() + query), query).toMatchObject({ status: 400 })
    for (const kept of ['', 'x', '{}', Buffer.from('{"state":1}').toString('base64url'), 'A'.repeat(3_000)]) {
      browser.forge(`${PENDING}=${kept}`)
      expect(await browser.ask(`${callback()}?code=x&state=${state}`)).toMatchObject({ status: 400 })
    }
    expect(browser.cookie(SESSION)).toBe(undefined)
  })

  it('by a token in place of a session, or a session in place of a token', BOUND, async () => {
    const browser = await signedIn('root')
    const session = browser.cookie(SESSION)!
    const ask = (headers: Record<string, string>) => new Browser().ask(at('/api/resources/post?id=1'), { headers })
    expect((await ask({ cookie: `${SESSION}=${session}` })).status).toBe(200)
    expect((await ask({ authorization: `Bearer ${session}` })).status).toBe(401)
    const made = await browser.ask(at('/api/tokens'), {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'tidemark-csrf': '1' },
      body: JSON.stringify({ name: 'x', roles: ['viewer'], tenants: 'all' }),
    })
    const { token } = JSON.parse(made.text)
    for (const value of [
      token,
      token.replace('tdm', 'tds'),
      session.replace('tds', 'tdm'),
      `${session.slice(0, -1)}_`,
      '',
      'tds_',
    ])
      expect((await ask({ cookie: `${SESSION}=${value}` })).status, value).toBe(401)
    // What is set over HTTP is not what counts over HTTPS, nor the other way round.
    expect((await ask({ cookie: `__Host-${SESSION}=${session}` })).status).toBe(401)
  })

  it('where the provider does not know this server by the secret that it has', BOUND, async () => {
    await provider.start(callback(), 'another secret')
    const answer = await new Browser().signIn(at('/auth/sign-in'), 'ann')
    expect(answer).toMatchObject({ status: 503, code: 'TIDEMARK_PROVIDER' })
    expect(answer.text).toContain('invalid_client')
    expect(answer.text).not.toContain(CLIENT.secret)
    await provider.start(callback())
  })
})

it('a browser that was not signed in is sent to the page that says so; a program gets the problem', BOUND, async () => {
  const page = { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } }
  const answer = await new Browser().ask(`${callback()}?code=x&state=y`, page)
  expect([answer.status, answer.headers.get('location')]).toEqual([302, '/auth/#TIDEMARK_SIGN_IN'])
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect((await new Browser().ask(`${callback()}?code=x&state=y`)).code).toBe('TIDEMARK_SIGN_IN')
  expect((await new Browser().ask(at('/auth/sign-in?return_to=//x'), page)).status).toBe(400)
})

it('who has signed in is sent to no other server', BOUND, async () => {
  for (const to of [
    'https://attacker.example/',
    '//attacker.example',
    '/\\attacker.example',
    'javascript:alert(1)',
    '/\t/a',
    'me',
    '',
  ])
    expect(await new Browser().ask(at(`/auth/sign-in?return_to=${encodeURIComponent(to)}`)), to).toMatchObject({
      status: 400,
    })
  // What the browser keeps may be anything by then.
  const browser = new Browser()
  const stopped = await browser.signIn(at('/auth/sign-in'), 'ann', isBack)
  const kept = JSON.parse(Buffer.from(browser.cookie(PENDING)!, 'base64url').toString())
  browser.forge(
    `${PENDING}=${Buffer.from(JSON.stringify({ ...kept, returnTo: '//attacker.example' })).toString('base64url')}`,
  )
  const back = await browser.ask(new URL(stopped.headers.get('location')!, stopped.url).href)
  expect(back.headers.get('location')).toBe('/auth/')
})

describe.skipIf(lacks('chromium'))('the page /auth/ in a real browser (needs chromium)', () => {
  let chromium: RealBrowser
  const complaints: string[] = []

  beforeAll(async () => {
    await provider.start(callback())
    chromium = await launchBrowser()
  }, 60_000)
  afterAll(() => chromium?.close())

  /** With cookies of its own. */
  async function visit(): Promise<Page> {
    const page = await (await chromium.newContext()).newPage()
    page.setDefaultTimeout(30_000)
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => {
      if (/Content Security|Uncaught/.test(message.text())) complaints.push(message.text())
    })
    await page.goto(at('/auth/'))
    return page
  }

  async function signIn(page: Page, name: string): Promise<void> {
    await page.getByRole('link', { name: 'Sign in' }).click()
    await page.locator('input[name=login]').fill(name)
    await page.locator('input[name=password]').fill('any')
    await page.locator('[type=submit]').click()
    await page.getByRole('heading', { name, exact: true }).waitFor()
    expect(page.url()).toBe(at('/auth/'))
  }

  it('offers to sign in, and shows who somebody is, and live what the cache does', BOUND, async () => {
    const page = await visit()
    await page.getByRole('heading', { name: 'You are not signed in' }).waitFor()
    expect(await page.getByRole('button').count()).toBe(0)
    await signIn(page, 'ann')
    await page
      .getByText('viewer, editor (may look at entries and streams; invalidate, and read the journal; write')
      .waitFor()
    await page.getByText('Tenants').locator('xpath=following-sibling::dd[1]').getByText('all').waitFor()
    await page.getByText('live', { exact: true }).waitFor()
    await page.getByLabel('Key').fill('<b>user:1</b>')
    await page.getByRole('button', { name: 'Drop' }).click()
    await page.getByText('Dropped: <b>user:1</b>.').waitFor()
    await page.getByRole('listitem').getByText('<b>user:1</b>').waitFor()

    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByText('You have signed out of this server.').waitFor()
    await page.getByRole('link', { name: 'Sign out at the provider too' }).waitFor()
    await page.getByRole('link', { name: 'Sign in' }).waitFor()
    expect(await page.getByRole('button').count()).toBe(0)
    expect(complaints).toEqual([])
  })

  it('says why somebody was not signed in, and goes on when they are', BOUND, async () => {
    const page = await visit()
    await page.goto(`${callback()}?error=access_denied&state=x`)
    await page.getByText('You were not signed in:').waitFor()
    expect(page.url()).toBe(at('/auth/'))
    await signIn(page, 'ann')
    expect(await page.getByText('You were not signed in:').isVisible()).toBe(false)
    await page.goto(at('/auth/#constructor'))
    await page.reload()
    await page.getByRole('heading', { name: 'ann' }).waitFor()
    expect(await page.getByRole('alert').isVisible()).toBe(false)
    expect(complaints).toEqual([])
  })

  it('has no button of operators for a viewer, and says when the session has ended', BOUND, async () => {
    const page = await visit()
    await signIn(page, 'vera')
    await page.getByText('live', { exact: true }).waitFor()
    expect(await page.getByRole('button').allTextContents()).toEqual(['Sign out'])
    await sql(database.url, "update tidemark.sessions set expires_at = now() where name = 'vera'")
    await page.getByText('Your session has ended. Sign in again to go on.').waitFor()
    await page.getByRole('link', { name: 'Sign in' }).click()
    // The provider still knows them.
    await page.getByRole('heading', { name: 'vera' }).waitFor()
    expect(await page.getByText('Your session has ended').isVisible()).toBe(false)
    expect(complaints).toEqual([])
  })
})
