import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lacks } from '../../../test/machine.js'
import { launchBrowser } from '../../blog/test/browser.js'
import { startFlags } from './flags-process.js'

describe.skipIf(lacks('chromium'))('feature flags in a real browser (needs chromium)', () => {
  let data: string
  let server: Awaited<ReturnType<typeof startFlags>>
  let browser: Browser
  let page: Page
  const complaints: string[] = []

  beforeAll(async () => {
    data = mkdtempSync(join(tmpdir(), 'tidemark-flags-'))
    ;[server, browser] = await Promise.all([startFlags(data), launchBrowser()])
    page = await browser.newPage()
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error' && /Content Security|Uncaught/.test(message.text()))
        complaints.push(message.text())
    })
    await page.goto(server.url)
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await server?.stop()
    rmSync(data, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 })
  })

  const flag = (config: string, name: string) =>
    page.getByRole('region', { name: config }).getByRole('checkbox', { name })

  async function are(name: string, expected: Record<string, boolean>): Promise<void> {
    for (const [config, on] of Object.entries(expected))
      await (on
        ? flag(config, name).and(page.locator(':checked'))
        : flag(config, name).and(page.locator(':not(:checked)'))
      ).waitFor()
  }

  test('a flag of all changes where it is inherited, by the page and by SQL; a customer can have its own, and inherit again', async () => {
    await are('new-checkout', { all: false, aurora: true, borealis: false, cumulus: false })
    await flag('all', 'new-checkout').click()
    await are('new-checkout', { all: true, aurora: true, borealis: true, cumulus: true })

    await flag('borealis', 'new-checkout').click()
    await are('new-checkout', { all: true, borealis: false, cumulus: true })
    await page.getByRole('region', { name: 'borealis' }).getByText('1 of its own').waitFor()

    const client = new pg.Client({ connectionString: server.database })
    await client.connect()
    await client.query(server.statement.replace("'true'", "'false'"))
    await client.end()
    await are('new-checkout', { all: false, borealis: false, cumulus: false })

    await page.getByRole('region', { name: 'borealis' }).getByRole('button', { name: 'inherit new-checkout' }).click()
    await page.getByRole('region', { name: 'borealis' }).getByText('all inherited').waitFor()
    expect(complaints).toEqual([])
  })

  test('the page says what it waits for, what it may not read, and that there are no flags', async () => {
    const other = await browser.newPage()
    const says = (words: string) =>
      expect
        .poll(() => other.locator('section .none').allTextContents(), { timeout: 20_000 })
        .toEqual(Array(4).fill(words))
    await other.route('**/api/**', (route) => route.abort())
    await other.goto(server.url)
    await says('Waiting for the server …')

    const detail = 'You may not read this.'
    const body = JSON.stringify({ title: 'Forbidden', status: 403, code: 'TIDEMARK_FORBIDDEN', detail })
    await other.route('**/api/**', (route) =>
      route.fulfill({ status: 403, contentType: 'application/problem+json', body }),
    )
    await other.goto(server.url)
    await says(detail)

    await other.unroute('**/api/**')
    for (const tenant of ['aurora', 'borealis', 'cumulus', 'shared'])
      expect((await fetch(`${server.url}/api/trees/${tenant}/flags`, { method: 'DELETE' })).status).toBe(200)
    await other.goto(server.url)
    await other.getByRole('region', { name: 'all' }).getByText('No flags.').waitFor()
    await other
      .getByRole('region', { name: 'cumulus' })
      .getByText('No flags of its own, and none to inherit.')
      .waitFor()
    await other.close()
  }, 60_000)
})
