import { expect, test } from 'vitest'
import { commandsIn, documentedCommands } from './commands.js'
import { read } from './repository.js'

/** How each command that the docs name is run, so that none of them rots: by which file, which must name it so. */
const ways: readonly { command: RegExp; by: string; named: RegExp }[] = [
  { command: /^npm start( --|$)/, by: 'test/clone.test.ts', named: /'npm start'/ },
  { command: /^curl .*'?http:\/\/127\.0\.0\.1:9400\//, by: 'test/clone.test.ts', named: /'curl '/ },
  { command: /^npx tidemark sql "/, by: 'test/clone.test.ts', named: /npx tidemark sql/ },
  { command: /^npx tidemark doctor( --sql)?( --url \S+)?$/, by: 'packages/cli/test/doctor.test.ts', named: /doctor/ },
  {
    command: /^npx tidemark serve( --config \S+)?( --port \d+)?$/,
    by: 'packages/cli/test/serve.test.ts',
    named: /serve/,
  },
  {
    command: /^npx tidemark (backup|restore) \S+( --replace)?$/,
    by: 'packages/cli/test/backup.test.ts',
    named: /'restore', file, '--replace'/,
  },
  {
    command: /^npx tidemark config print( --config \S+)?$/,
    by: 'packages/cli/test/config.test.ts',
    named: /'config', 'print'/,
  },
  {
    command:
      /^npx tidemark tokens (create --name [\w-]+ --role [\w ]+ --(all-tenants|tenant [\w ]+)|list|revoke \w+)( --expires \w+)?( --json)?$/,
    by: 'packages/cli/test/tokens.test.ts',
    named: /tokens/,
  },
  {
    command: /^(source <\()?npx tidemark (get|keys|invalidate|journal|top|completion)\b/,
    by: 'packages/cli/test/service.test.ts',
    named: /ask\(\['top'/,
  },
  { command: /^npm test$/, by: '.ci/run', named: /npm test/ },
  { command: /^npm run bench( -- [\w -]+)?$/, by: '.ci/run', named: /npm run bench/ },
  { command: /^npm run chaos -- postgres( [\w -]+)?$/, by: '.ci/run', named: /npm run chaos -- postgres/ },
  { command: /^npm run chaos -- processes( [\w -]+)?$/, by: '.ci/run', named: /npm run chaos -- processes/ },
  { command: /^npm run chaos -- service( [\w -]+)?$/, by: '.ci/run', named: /npm run chaos -- service/ },
  {
    command: /^npm run demo:distributed$/,
    by: 'examples/blog/test/distributed.test.ts',
    named: /distributed\/start/,
  },
  {
    command: /^npm run demo:flags$/,
    by: 'examples/feature-flags/test/page.test.ts',
    named: /startFlags/,
  },
  { command: /^npm run check:sql( -- [\w. -]+)?$/, by: '.ci/run', named: /npm run check:sql/ },
  {
    command: /^npm run check:trees( -- [\w -]+)?$/,
    by: 'packages/trees/test/model.property.test.ts',
    named: /npm run check:trees/,
  },
  { command: /^npm run (lint|build)$/, by: '.ci/run', named: /biome|npm test/ },
]

test('every command in the README and the docs is run by a test or by CI', () => {
  const commands = documentedCommands()
  expect(commands.map(({ command }) => command)).toContain('npm start')
  expect(commands.filter(({ command }) => !ways.some((way) => way.command.test(command)))).toEqual([])
})

test('what is said to run a command does name it', () => {
  const used = ways.filter((way) => documentedCommands().some(({ command }) => way.command.test(command)))
  expect(used.filter(({ by, named }) => !named.test(read(by))).map(({ by }) => by)).toEqual([])
})

test('commands are found in blocks, over several lines, without comments', () => {
  const page = 'Text\n```sh\nnpm start   # the blog\n# a comment\ncurl -s \\\n  http://x\n```\n```ts\nnot()\n```\n'
  expect(commandsIn(page)).toEqual(['npm start', 'curl -s http://x'])
})
