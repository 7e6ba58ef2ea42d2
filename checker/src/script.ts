import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hasOrder, render } from './fragment.js'
import type { Shrunk } from './shrink.js'
import { textOf } from './writes.js'

const root = new URL('../../', import.meta.url)

/**
 * Writes a mismatch as a program that shows it: schema, query, writes, what was expected and what came.
 *
 * @returns the command that runs it
 */
export function writeScript(folder: string, name: string, shrunk: Shrunk): string {
  const path = join(folder, `${name}.mjs`)
  writeFileSync(path, scriptOf(shrunk))
  return `node ${path}`
}

function scriptOf({ world, mismatch, isRepeatable }: Shrunk): string {
  const query = world.queries[mismatch.query]!
  const { text, values } = render(query.fragment)
  const steps = world.steps.flatMap((step): (string | { client: number; text: string })[] =>
    step.kind === 'write'
      ? [{ client: step.client, text: textOf(step.write) }]
      : step.kind === 'check'
        ? ['check']
        : [],
  )
  return `// A cached answer that is not what PostgreSQL answers (${mismatch.kind}).${isRepeatable ? '' : ' It did not show again when it was run again: it may need a certain moment.'}
// Found by: npm run check:sql -- --seed ${world.seed} --worlds 1 --identity ${world.identities}
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRequire } from 'node:module'
import { startEmbedded } from '${new URL('packages/embedded/dist/index.js', root)}'
import { postgres } from '${new URL('packages/postgres/dist/index.js', root)}'
import { createCache } from '${new URL('packages/tidemark/dist/index.js', root)}'
const { Client } = createRequire('${fileURLToPath(root)}')('pg')

const schema = ${lines(world.setup.map(textOf))}
const query = {
  text: ${quoted(text)},
  values: ${valuesText(values)},
}
// Each by the connection of this number; at 'check' the answer is compared.
const steps = ${JSON.stringify(steps, null, 2)}
const expected = ${JSON.stringify(mismatch.expected)}
const got = ${JSON.stringify(mismatch.got)}

const dataDir = mkdtempSync(join(tmpdir(), 'tidemark-mismatch-'))
// With DATABASE_URL: in an empty database of your own.
const server = process.env.DATABASE_URL ? undefined : await startEmbedded({ dataDir, isDurable: false })
const url = process.env.DATABASE_URL ?? (await server.createDatabase('mismatch'))
const clients = [0, 1, 2].map(() => new Client({ connectionString: url }))
for (const client of clients) await client.connect()
for (const statement of schema) await clients[0].query(statement).catch((error) => console.log(error.message, statement))
const cache = createCache({ source: postgres({ url, ...${JSON.stringify(world.limits)} }) })
while (!cache.status().keeping || !cache.status().current) await new Promise((resolve) => setTimeout(resolve, 10))
await cache.settled()
const answer = async (sql) => {
  const { rows } = await sql.texts(query.text, query.values)
  const texts = rows.map((row) => JSON.stringify(row))
  return (${hasOrder(query.fragment)} ? texts : texts.sort()).join('\\n')
}
const cached = () => cache.get('answer', ({ sql }) => answer(sql))
console.log('at first:', await cached())
console.log(cache.explain('answer').dependencies)
for (const step of steps) {
  if (step !== 'check') {
    console.log(step.text)
    await clients[step.client].query(step.text).catch((error) => console.log(error.message))
    continue
  }
  await cache.settled()
  const [is, should] = [await cached(), await cache.get(\`\${Math.random()}\`, ({ sql }) => answer(sql))]
  console.log(is === should ? 'right:' : 'WRONG:', { cached: is, database: should })
  if (is !== should) process.exitCode = 1
}
console.log('when it was found:', { got, expected })
await cache.close()
for (const client of clients) await client.end()
await server?.stop()
rmSync(dataDir, { recursive: true, force: true })
`
}

function lines(texts: readonly string[]): string {
  return `[\n${texts.map((text) => `  ${quoted(text)},\n`).join('')}]`
}

function quoted(text: string): string {
  return `\`${text.replace(/[\\`$]/g, '\\$&')}\``
}

function valuesText(values: readonly unknown[]): string {
  return `[${values.map((value) => (value instanceof Date ? `new Date('${value.toISOString()}')` : JSON.stringify(value))).join(', ')}]`
}
