// `npm run chaos -- postgres`: builds, and does to PostgreSQL what happens to it, under load; see docs/reliability.md. What follows
// `postgres` goes to it: npm run chaos -- postgres --smoke F13
import { join } from 'node:path'
import { build, checkNode, install, main, root, run, ScriptError } from './workspace.mjs'

const known = { postgres: join(root, 'packages', 'postgres', 'chaos', 'main.js') }

main(async () => {
  checkNode()
  const [what, ...args] = process.argv.slice(2)
  const program = known[what]
  if (program === undefined) throw new ScriptError(`Say to what: npm run chaos -- ${Object.keys(known).join(' | ')}`)
  await install()
  await build()
  await run(process.execPath, [program, ...args])
})
