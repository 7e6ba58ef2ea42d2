import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { launchBrowser } from '../../../examples/blog/test/browser.js'
import { lacks } from '../../../test/machine.js'
import { createClient } from '../src/index.js'
import { useLive } from '../src/react.js'
import { type Served, served, until } from './serving.js'

const nobody = createClient({ url: 'http://127.0.0.1:9', fetch: () => Promise.reject(new Error('asked')) })
const Known = () => createElement('p', undefined, useLive(nobody.tree('a', 'b').node()).state)

test('on a server it is loading, and opens nothing', () => {
  expect(renderToString(createElement(Known))).toBe('<p>loading</p>')
})

const PAGE = `
  import { createElement as h, useState } from 'react'
  import { createRoot } from 'react-dom/client'
  import { createClient } from '@tidemark/client'
  import { useLive } from '@tidemark/client/react'
  const node = createClient().tree('T1', 'page').node('/color')
  const Color = ({ id }) => {
    const { state, value } = useLive(node)
    return h('p', { id }, state + ' ' + JSON.stringify(value ?? null))
  }
  const App = () => {
    const [count, setCount] = useState(2)
    return h('main', null, h('button', { onClick: () => setCount(0) }, 'away'),
      ...Array.from({ length: count }, (_, n) => h(Color, { id: 'c' + n, key: n })))
  }
  createRoot(document.getElementById('root')).render(h(App))
`

describe.skipIf(lacks('chromium'))('useLive in a page (needs chromium)', () => {
  let folder: string
  let server: Served
  let browser: Browser

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tidemark-page-'))
    writeFileSync(join(folder, 'main.js'), PAGE)
    writeFileSync(
      join(folder, 'index.html'),
      '<!doctype html><div id="root"></div><script type="module" src="/main.js"></script>',
    )
    const from = (path: string) => fileURLToPath(new URL(path, import.meta.url))
    await build({
      root: folder,
      logLevel: 'error',
      configFile: false,
      build: { outDir: join(folder, 'out') },
      resolve: {
        alias: [
          { find: /^@tidemark\/client$/, replacement: from('../src/index.ts') },
          { find: '@tidemark/client/react', replacement: from('../src/react.ts') },
          { find: /^react$/, replacement: from('../../../node_modules/react/index.js') },
          { find: 'react-dom/client', replacement: from('../../../node_modules/react-dom/client.js') },
        ],
      },
    })
    server = await served({ static: join(folder, 'out') })
    browser = await launchBrowser()
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await server?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('shows the value, each new one, and closes its one stream with the last component', {
    timeout: 60_000,
  }, async () => {
    const node = createClient({ url: server.running.url }).tree('T1', 'page').node('/color')
    await node.set('red')
    const page = await browser.newPage()
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(String(error)))
    let streams = 0
    page.on('request', (request) => {
      if (request.url().includes('/~live')) streams++
    })
    await page.goto(server.running.url)
    await page.getByText('live "red"').first().waitFor()
    await node.set('blue')
    await page.getByText('live "blue"').nth(1).waitFor()
    expect(streams).toBe(1)
    const open = async () =>
      /^tidemark_streams (\d+)$/m.exec(await (await fetch(`${server.running.url}/metrics`)).text())?.[1]
    await until(async () => (await open()) === '1')
    await page.getByRole('button').click()
    await until(async () => (await open()) === '0')
    expect(complaints).toEqual([])
    await page.close()
  })
})
