import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from './run.js'

let folder: string
let file: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-config-'))
  file = join(folder, 'tidemark.yaml')
  writeFileSync(file, 'l2: { redis: "redis://u:geheim@h:6379" }\nresources: {}\n')
})
afterAll(() => rmSync(folder, { recursive: true }))

test('config print has every setting, its origin, and no secret', async () => {
  const printed = await run(['config', 'print', '--config', file, '--port', '0', '--data', 'here'])
  expect(printed).toMatchObject({ err: '', exitCode: 0 })
  expect(printed.out).toMatch(/ l2\.redis +\| redis:\/\/u:\*\*\*@h:6379 +\| .*tidemark\.yaml:1\n/)
  expect(printed.out).toMatch(/ server\.port +\| 0 +\| --port\n/)
  expect(printed.out).not.toContain('geheim')
  const json = await run(['config', 'print', '--config', file, '--json'])
  expect(JSON.parse(json.out)).toContainEqual({ name: 'server.host', value: '127.0.0.1', origin: 'default' })
})

test('a configuration that is wrong is told as serve would', async () => {
  writeFileSync(join(folder, 'wrong.yaml'), 'resources: {}\nl3: {}\n')
  const printed = await run(['config', 'print', '--config', join(folder, 'wrong.yaml')])
  expect(printed).toMatchObject({ out: '', exitCode: 1, err: expect.stringMatching(/TIDEMARK_CONFIG.*:2:1/s) })
  expect((await run(['config', 'print', '--config', file, '--port', 'x'])).exitCode).toBe(2)
})
