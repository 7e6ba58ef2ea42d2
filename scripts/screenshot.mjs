// `npm run pictures`: the pictures of the docs, taken of the blog as it runs. Needs Chromium.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { startBlog, until } from '../examples/blog/test/blog-process.js'
import { launchBrowser } from '../examples/blog/test/browser.js'
import { startFlags } from '../examples/feature-flags/test/flags-process.js'
import { build, checkNode, install, main, root } from './workspace.mjs'

const WIDE = { width: 1360, height: 840 }
const NARROW = { width: 390, height: 844 }
const pictures = join(root, 'docs', 'pictures')

main(async () => {
  checkNode()
  await install()
  await build()
  mkdirSync(pictures, { recursive: true })
  const dataDir = mkdtempSync(join(tmpdir(), 'tidemark-pictures-'))
  const browser = await launchBrowser()
  let blog = await startBlog({ dataDir })
  try {
    await takeChange(
      browser,
      blog,
      'blog.png',
      { viewport: WIDE, colorScheme: 'light' },
      'This title was changed by another program',
    )
    await takeChange(
      browser,
      blog,
      'blog-dark.png',
      { viewport: WIDE, colorScheme: 'dark' },
      'Another program changed this title',
    )
    await takeChange(
      browser,
      blog,
      'blog-phone.png',
      { viewport: NARROW, colorScheme: 'light' },
      'Changed on the way',
      '/?post=1',
    )
    await take(browser, blog, 'blog-empty.png', { viewport: WIDE, colorScheme: 'light' }, '/?topic=none&post=999999')
    await takeFlags(browser)
    blog = await takeDown(browser, blog, 'blog-down.png', { viewport: WIDE, colorScheme: 'dark' })
  } finally {
    await browser.close()
    await blog.stop()
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }
})

/** The page in the moment in which a change from elsewhere has reached it. */
async function takeChange(browser, blog, file, options, title, path = '/') {
  const page = await open(browser, blog, options, path)
  await sql(
    blog,
    `insert into comments (post_id, author_id, body) values (40, 3, 'I can bring a longer line on Friday.')`,
  )
  await sql(blog, `update sessions set started_at = now() where id = (select id from sessions order by id limit 1)`)
  await until('the earlier changes arrived', async () => (await page.locator('#changes .change').count()) >= 2)
  await sql(blog, 'update posts set title = $1 where id = 1', [title])
  const took = page.locator('#changes .change').first().locator('.change-took.shown')
  await until('the change was painted', () => took.count())
  await page.evaluate(async () => {
    const moving = document.querySelector('#panel').getAnimations({ subtree: true })
    await Promise.all(moving.map(({ finished }) => finished))
  })
  await page.screenshot({ path: join(pictures, file) })
  await page.context().close()
}

async function take(browser, blog, file, options, path) {
  const page = await open(browser, blog, options, path)
  await page.screenshot({ path: join(pictures, file) })
  await page.context().close()
}

/** The example of feature flags, light and dark. */
async function takeFlags(browser) {
  const data = mkdtempSync(join(tmpdir(), 'tidemark-pictures-'))
  const flags = await startFlags(data)
  for (const [file, colorScheme] of [
    ['flags.png', 'light'],
    ['flags-dark.png', 'dark'],
  ]) {
    const context = await browser.newContext({
      viewport: { width: 1360, height: 520 },
      colorScheme,
      deviceScaleFactor: 1.5,
    })
    const page = await context.newPage()
    await page.goto(flags.url)
    await until('all configs are there', async () => (await page.locator('section li').count()) === 16)
    await page.screenshot({ path: join(pictures, file) })
    await context.close()
  }
  await flags.stop()
  rmSync(data, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
}

/** The page while its server is gone. */
async function takeDown(browser, blog, file, options) {
  const page = await open(browser, blog, options, '/')
  await blog.kill()
  await until('the page says so', () => page.isVisible('#trouble'))
  await page.screenshot({ path: join(pictures, file) })
  await page.context().close()
  return blog
}

async function open(browser, blog, options, path) {
  const context = await browser.newContext({ ...options, deviceScaleFactor: 1.5 })
  const page = await context.newPage()
  await page.goto(blog.url + path)
  await until('the list is there', async () => (await page.locator('#posts li, #list-says:not(:empty)').count()) > 0)
  await until('the article is there', async () => (await page.locator('#article h1').count()) > 0)
  // The listed posts are read ahead: what the panel tells depends on what is cached.
  await until('the listed posts were read ahead', () =>
    page.evaluate(() => {
      const read = performance
        .getEntriesByType('resource')
        .filter(({ name }) => name.includes('/api/resources/comments?'))
      return read.length >= document.querySelectorAll('#posts li').length
    }),
  )
  return page
}

async function sql(blog, text, values = []) {
  const client = new pg.Client({ connectionString: blog.databaseUrl })
  await client.connect()
  await client.query(text, values)
  await client.end()
}
