// `npm run check:trees`: random edits of config trees beside a model; see docs/trees.md. `-- --seeds 5000` runs as many seeds, `-- --seed 7`
// begins with that one (alone, where nothing is said of how many).
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build, checkNode, install, main, root, run, ScriptError } from './workspace.mjs'

main(async () => {
  checkNode()
  const env = { ...process.env }
  const { values } = parseArgs({ options: { seed: { type: 'string' }, seeds: { type: 'string' } } })
  for (const [name, value] of Object.entries(values)) {
    if (!/^[1-9]\d{0,8}$/.test(value)) throw new ScriptError(`--${name} takes a number from 1 on.`)
    env[name === 'seed' ? 'TREE_SEED' : 'TREE_SEEDS'] = value
  }
  await install()
  await build()
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  await run(process.execPath, [vitest, 'run', 'packages/trees/test/model.property'], { env })
})
