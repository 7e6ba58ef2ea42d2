import { execFile, execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../../test/free-port.js'
import { lacks } from '../../../test/machine.js'
import { startBlog, until } from './blog-process.js'
import { launchBrowser } from './browser.js'

type Blog = Awaited<ReturnType<typeof startBlog>>

/** Kills the PostgreSQL of a data folder, if it runs just now. */
function killPostgres(dataDir: string): void {
  try {
    const pid = Number.parseInt(fs.readFileSync(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8'), 10)
    const [program = ''] = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    if (program.endsWith('/postgres')) process.kill(pid, 'SIGKILL')
  } catch {
    // It is dead already.
  }
}

describe.skipIf(lacks('chromium'))('the blog in a real browser (needs chromium)', () => {
  let dataDir: string
  let blog: Blog
  let browser: Browser
  let context: BrowserContext
  const complaints: string[] = []

  beforeAll(async () => {
    dataDir = fs.mkdtempSync(join(tmpdir(), 'tidemark-blog-'))
    ;[blog, browser] = await Promise.all([startBlog({ dataDir, port: await freePort() }), launchBrowser()])
  })

  afterAll(async () => {
    await browser?.close()
    await blog?.stop()
    fs.rmSync(dataDir, { recursive: true, force: true })
  })

  afterEach(async ({ task }) => {
    // What a failure looks like from the other side.
    if (task.result?.state === 'fail')
      console.error(`The blog (${blog.how()}) said:\n${blog.printed.err.slice(-4_000)}`)
    await context?.close()
    expect(complaints.splice(0)).toEqual([])
  })

  /** Opens windows of one browser profile: they share what a browser shares. */
  async function open(paths: string[], options: Parameters<Browser['newContext']>[0] = {}): Promise<Page[]> {
    context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options })
    const pages: Page[] = []
    for (const path of paths) {
      const page = await context.newPage()
      page.on('pageerror', (error) => complaints.push(String(error)))
      page.on('console', (message) => {
        if (message.type() === 'error' && /Content Security|Uncaught/.test(message.text()))
          complaints.push(message.text())
      })
      await page.goto(blog.url + path)
      // Lost by a reload.
      await page.evaluate(() => Object.assign(window, { opened: true }))
      pages.push(page)
    }
    return pages
  }

  const wasReloaded = (page: Page) => page.evaluate(() => !('opened' in window))
  const title = (page: Page) => page.locator('.view-title').textContent()
  const itemTitle = (page: Page, id: number) => page.locator(`#posts [data-id="${id}"] .item-title`).textContent()

  async function sql(text: string, values: unknown[] = []) {
    const client = new pg.Client({ connectionString: blog.databaseUrl })
    await client.connect()
    try {
      return (await client.query(text, values)).rows
    } finally {
      await client.end()
    }
  }

  test.skipIf(lacks('psql'))(
    'the printed psql line shows in every open window, without a reload (needs psql)',
    async () => {
      const pages = await open(['/', '/?post=1'])
      for (const page of pages)
        await until('the welcome post is open', async () => (await title(page))?.startsWith('Welcome'))
      execFileSync('/bin/sh', ['-c', blog.psql])
      for (const page of pages) {
        await until('the post has the new title', async () => (await title(page)) === 'Changed from psql')
        await until('the list has it too', async () => (await itemTitle(page, 1)) === 'Changed from psql')
        expect(await wasReloaded(page)).toBe(false)
      }
    },
  )

  test('npx tidemark sql does the same', async () => {
    const [page] = await open(['/?post=2'])
    await until('the post is open', () => title(page!))
    const bin = new URL('../../../packages/cli/bin/tidemark.js', import.meta.url).pathname
    const statement = `update posts set title = 'Changed from a terminal' where id = 2`
    const ran = await promisify(execFile)(process.execPath, [bin, 'sql', statement, '--data', dataDir])
    expect(ran).toEqual({ stdout: 'UPDATE 1\n', stderr: '' })
    await until('the post has the new title', async () => (await title(page!)) === 'Changed from a terminal')
  })

  test("what one window's forms write shows in the other", async () => {
    const [one, other] = (await open(['/?post=3', '/?post=3'])) as [Page, Page]
    for (const page of [one, other]) await until('the post is open', () => title(page))

    await one.click('.view-edit')
    await one.fill('.retitle [name=title]', 'A corrected title')
    await one.click('.retitle [type=submit]')
    await until('the title is corrected', async () => (await title(other)) === 'A corrected title')

    const votes = Number.parseInt((await other.locator('.view-votes').textContent()) ?? '', 10)
    const votesOf = async (page: Page) => Number.parseInt((await page.locator('.view-votes').textContent()) ?? '', 10)
    await one.click('.view-vote')
    await until('the vote counts', async () => (await votesOf(other)) === votes + 1)
    await until('the button is pressed', async () => (await one.getAttribute('.view-vote', 'aria-pressed')) === 'true')
    await one.click('.view-vote')
    await until('a second vote takes it back', async () => (await votesOf(other)) === votes)

    await one.fill('.say [name=body]', 'Seen from the other window.')
    await one.click('.say [type=submit]')
    await until('the comment shows', () =>
      other.locator('.comments li', { hasText: 'Seen from the other window.' }).count(),
    )
    expect(await one.inputValue('.say [name=body]')).toBe('')

    await one.click('#write')
    await one.fill('#editor [name=title]', 'A brand new post')
    await one.fill('#editor [name=body]', 'First paragraph.\n\nSecond paragraph.')
    await one.click('#editor [type=submit]')
    await until('its writer sees it', async () => (await title(one)) === 'A brand new post')
    await until('the other window lists it', () => other.locator('#posts', { hasText: 'A brand new post' }).count())
    expect(await wasReloaded(other)).toBe(false)
  })

  test('the panel names what a change touched, how many were left alone, and how long it took', async () => {
    const [page] = (await open(['/?author=4&post=1'])) as [Page]
    await until('the post is open', () => title(page))
    await until('the authors came', async () => (await page.locator('#author option').count()) > 5)
    const ids = await sql('select id from posts where author_id = 4 order by id')
    await page.evaluate(
      (all) => Promise.all(all.map((id) => fetch(`/api/resources/post?id=${id}`))),
      ids.map(({ id }) => String(id)),
    )
    await sql('update posts set upvotes = upvotes + 1000 where id = $1', [ids[0].id])
    const change = page.locator('#changes .change').first()
    await until('the change has arrived', () => change.count())
    await until('its time is measured', async () =>
      /^\d+ ms$/.test((await change.locator('.change-took').textContent()) ?? ''),
    )
    expect(await change.locator('.change-what').textContent()).toBe('posts update')
    const names = await change.locator('.change-entries code').allTextContents()
    const touched = names.map((name) => name.replace(/[n"]+(?=\))|(?<=\()"/g, ''))
    expect(touched).toContain(`post(${ids[0].id})`)
    expect(touched).toContain('feed(4)')
    expect(touched).not.toContain(`post(${ids[1].id})`)
    expect(touched.filter((name) => /^(feed|comments|author)/.test(name) && name !== 'feed(4)')).toEqual([])
    const [, count, left] =
      /^(\d+) touched, (\d+) left alone$/.exec((await change.locator('.change-foot').textContent()) ?? '') ?? []
    expect(Number(count)).toBe(names.length)
    expect(Number(left)).toBeGreaterThanOrEqual(ids.length - 1)
    expect(await change.locator('.strip i').count()).toBe(Math.min(120, Number(count) + Number(left)))
    expect(await change.locator('.strip i.touched').count()).toBeGreaterThanOrEqual(1)
    expect(await page.locator('#figure-latency').textContent()).toMatch(/^\d+ ms$/)

    await sql(`update sessions set started_at = now() where id = (select id from sessions order by id limit 1)`)
    const next = page.locator('#changes .change', { hasText: 'sessions update' })
    await until('a change that nothing depends on is told too', () => next.count())
    expect(await next.locator('.change-foot').textContent()).toMatch(/^0 touched, \d+ left alone$/)
    expect(await next.locator('.change-took').textContent()).toBe('nothing new here')
  })

  test('more windows than a browser has connections all follow their posts', async () => {
    const ids = [5, 6, 7, 8, 9, 10]
    const pages = await open(ids.map((id) => `/?post=${id}`))
    for (const page of pages) await until('the post is open', () => title(page))
    for (const id of ids) await sql(`update posts set title = $2 where id = $1`, [id, `Window ${id}`])
    for (const [at, page] of pages.entries()) {
      await until(`window ${at} shows its change`, async () => (await title(page)) === `Window ${ids[at]}`)
    }
    await pages[5]!.fill('.say [name=body]', 'There is still a connection to write with.')
    await pages[5]!.click('.say [type=submit]')
    await until('and what it wrote', () =>
      pages[5]!.locator('.comments', { hasText: 'There is still a connection' }).count(),
    )
  })

  test('a text is a text, however hostile or long, and fits a phone', async () => {
    const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`
    const long = 'unbroken'.repeat(100)
    await sql('update posts set title = $2, body = $3 where id = $1', [
      11,
      hostile,
      `${long}\n\n\u202eright to left ${long}`,
    ])
    await sql('update posts set title = $2, body = $3 where id = $1', [12, '', ''])
    await sql('insert into comments (post_id, author_id, body) values (11, 1, $1), (11, 1, $2)', [hostile, long])
    await sql('update authors set name = $1 where id = 1', [`${hostile} ${long}`])
    const [page, empty] = (await open(['/?post=11', '/?post=12'], { viewport: { width: 320, height: 640 } })) as [
      Page,
      Page,
    ]
    await until('the title is its text', async () => (await title(page)) === hostile)
    await until('the comments came', () => page.locator('.comments li').count())
    for (const each of [page, empty]) {
      await until('the post is drawn', () => each.locator('.view-body').count())
      expect(await each.locator('article img, article script').count()).toBe(0)
      const [wide, room] = await each.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
      expect(wide).toBeLessThanOrEqual(room!)
    }
    await until('an empty title has a name', async () => (await title(empty)) === 'Untitled')
    expect(await page.title()).not.toBe('owned')
    await sql(`update authors set name = 'Ada Lindqvist' where id = 1`)
  })

  test('what is not there, and what never could be, is said', async () => {
    const [gone, wrong, none] = (await open(['/?post=999999', '/?post=nonsense', '/?topic=nothing'])) as [
      Page,
      Page,
      Page,
    ]
    await until('a missing post is said', () => gone.locator('h1', { hasText: 'This post is not here' }).count())
    await until('a wrong address is said', () => wrong.locator('h1', { hasText: 'cannot be shown' }).count())
    await until('an empty list is said', async () => (await none.textContent('#list-says'))?.includes('No posts here'))
    await sql(
      `insert into posts (id, author_id, topic, title, body) values (999999, 2, 'tides', 'Here after all', 'Yes.')`,
    )
    await until('and it shows once it is there', async () => (await title(gone)) === 'Here after all')
    await sql('delete from posts where id = 999999')
    await until('and goes again', () => gone.locator('h1', { hasText: 'This post is not here' }).count())
  })

  test('a form that cannot be sent says why and keeps the text', async () => {
    const [page] = (await open(['/?post=4'])) as [Page]
    await until('the post is open', () => title(page))
    await page.fill('.say [name=body]', '   ')
    await page.click('.say [type=submit]')
    await until('the reason is shown', async () => (await page.textContent('.say .problem'))?.includes('body is empty'))
    await page.route('**/blog/**', (route) => route.abort())
    await page.fill('.say [name=body]', 'Do not lose this')
    await page.click('.say [type=submit]')
    await until('the loss is shown', async () => (await page.textContent('.say .problem'))?.includes('does not answer'))
    expect(await page.inputValue('.say [name=body]')).toBe('Do not lose this')
  })

  test('the server is killed: the page says so, stays, and goes on by itself', async () => {
    const [page] = (await open(['/?post=1'])) as [Page]
    const before = await until('the post is open', () => title(page))
    const { port } = blog
    await blog.kill()
    await until('the page says so', async () => (await page.textContent('#trouble'))?.includes('does not answer'))
    expect(await page.isVisible('#trouble')).toBe(true)
    expect(await title(page)).toBe(before)
    expect(await page.getAttribute('.view-mark .mark', 'data-state')).toBe('failing')

    blog = await startBlog({ dataDir, port })
    await sql(`update posts set title = 'After the crash' where id = 1`)
    await until('it goes on', async () => (await title(page)) === 'After the crash')
    await until('and says no more', () => page.isHidden('#trouble'))
    await until('all is fresh', async () => (await page.getAttribute('.view-mark .mark', 'data-state')) === 'fresh')
    expect(await wasReloaded(page)).toBe(false)
  })

  test('PostgreSQL is killed: the page says so and goes on by itself', async () => {
    const [page] = (await open(['/?post=1'])) as [Page]
    await until('the post is open', () => title(page))
    // It is started again at once, so it is killed until the page has seen it.
    await until('the page says so', async () => {
      killPostgres(dataDir)
      return page.isVisible('#trouble')
    })
    expect(await title(page)).toBeTruthy()
    await until('the database is back', () =>
      sql(`update posts set title = 'After the second crash' where id = 1 returning 1`),
    )
    await until('it goes on', async () => (await title(page)) === 'After the second crash')
    await until('and says no more', () => page.isHidden('#trouble'))
    expect(await wasReloaded(page)).toBe(false)
  })

  test('it can be used without a mouse, without colours and without motion', async () => {
    const [page] = (await open(['/'], { reducedMotion: 'reduce' })) as [Page]
    await until('the post is open', () => title(page))
    const nameless = await page.evaluate(() => {
      const labelled = (element: Element) =>
        element.textContent?.trim() ||
        element.getAttribute('aria-label') ||
        [...((element as HTMLInputElement).labels ?? [])].some((label) => label.textContent?.trim())
      return [...document.querySelectorAll('button, a, input, select, textarea')]
        .filter((element) => !labelled(element))
        .map((element) => element.outerHTML)
    })
    expect(nameless).toEqual([])
    expect(await page.locator('h1').count()).toBe(1)
    expect(await page.evaluate(() => document.documentElement.lang)).toBe('en')
    for (const landmark of ['header', 'main', 'nav[aria-label]', 'article[aria-label]', 'aside[aria-labelledby]']) {
      expect(await page.locator(landmark).count(), landmark).toBe(1)
    }
    expect(await page.evaluate(() => new Set([...document.querySelectorAll('[id]')].map(({ id }) => id)).size)).toBe(
      await page.locator('[id]').count(),
    )
    // Each state has a shape of its own: filled, hollow, cut.
    await page.keyboard.press('Tab')
    expect(await page.evaluate(() => document.activeElement?.className)).toBe('skip')
    await page.locator('#posts a').nth(1).focus()
    expect(await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle)).toBe('solid')
    await page.keyboard.press('Enter')
    await until('the post opens by keyboard', async () => new URL(page.url()).searchParams.has('post'))
    await until('the reader is taken there', () => page.evaluate(() => document.activeElement?.id === 'article'))

    const id = new URL(page.url()).searchParams.get('post')
    await until('the post is drawn', async () => (await page.locator('#article').getAttribute('data-id')) === id)
    await sql('update posts set title = title || $2 where id = $1', [id, '!'])
    const changed = page.locator('.view-title.changed')
    await until('the change is marked', () => changed.count())
    const style = await changed.evaluate((element) => [
      getComputedStyle(element).animationName,
      getComputedStyle(element).outlineStyle,
    ])
    expect(style).toEqual(['none', 'solid'])
  })

  test('light or dark is chosen by the system, then by the visitor, and remembered', async () => {
    const [page] = (await open(['/'], { colorScheme: 'dark' })) as [Page]
    const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
    const dark = await ground()
    await page.click('#theme')
    const light = await ground()
    expect(light).not.toBe(dark)
    await page.reload()
    expect(await ground()).toBe(light)
  })

  test('it ends in order when it is told to, though windows are open', async () => {
    const [page] = (await open(['/?post=1'])) as [Page]
    await until('the post is open', () => title(page))
    expect(await blog.stop()).toBe(0)
    expect(blog.printed.err).toBe('')
    blog = await startBlog({ dataDir })
    expect(await sql('select count(*)::int as posts from posts')).toEqual([{ posts: expect.any(Number) }])
  })
})
