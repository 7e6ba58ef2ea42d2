import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'vite'
import { afterAll, beforeAll, expect, test } from 'vitest'

// A process might not end by itself, because a cache holds a timer, a socket or a promise that keeps it alive.

const folder = mkdtempSync(join(tmpdir(), 'tidemark-exit-'))

beforeAll(async () => {
  const src = new URL('../src/', import.meta.url).pathname
  await build({
    configFile: false,
    logLevel: 'silent',
    root: folder,
    build: {
      ssr: true,
      outDir: folder,
      emptyOutDir: false,
      rolldownOptions: {
        input: { index: join(src, 'index.ts'), testing: join(src, 'testing/index.ts') },
        external: [/^node:/, 'fast-check', 'vitest'],
        output: { entryFileNames: '[name].mjs' },
      },
    },
  })
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const programs = {
  'that closes its cache': `
    const watch = post.watch(1)
    await watch.next()
    const rejected = Promise.all([stuck(), watch.next()]).catch((error) => error.code)
    await cache.close()
    console.log(await rejected)`,
  'that forgets to close its cache': `
    await post(1)
    await post.watch(1).next()
    await cache.invalidate({ tags: ['t'] })
    stuck().catch(() => undefined)
    console.log('TIDEMARK_CLOSED')`,
  'whose cache reads and waits for a position when it is closed': `
    const rejected = post.with({ minPosition: 'FF/0', waitMax: '1h' })(1).catch((error) => error.code)
    await new Promise((resolve) => setImmediate(resolve))
    await cache.close()
    console.log(await rejected)`,
}

test.each(Object.entries(programs))('a program %s ends by itself', async (name, body) => {
  const file = join(folder, `${name.replace(/\W+/g, '-')}.mjs`)
  writeFileSync(
    file,
    `import { createCache } from ${JSON.stringify(pathToFileURL(join(folder, 'index.mjs')).href)}
    import { FakeSource } from ${JSON.stringify(pathToFileURL(join(folder, 'testing.mjs')).href)}
    const source = new FakeSource()
    const cache = createCache({ source })
    source.put('public.posts', { id: 1 })
    const post = cache.define('post', ({ db }, id) => db.one('public.posts', { id }), { ttl: '1h', grace: '1h' })
    const stuck = cache.define('stuck', () => new Promise(() => {}))
    await cache.settled()
    ${body}`,
  )
  expect(await run(file)).toEqual({ code: 0, output: 'TIDEMARK_CLOSED\n' })
})

function run(file: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'], timeout: 30_000 })
    let output = ''
    child.stdout.on('data', (data) => (output += data))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}
