// `npm run chaos -- postgres` and `npm run chaos -- processes`: builds, and does to a database, or to many processes, what happens to
// them, under load; see docs/reliability.md. What follows goes to it: npm run chaos -- postgres --smoke F13
import { join } from 'node:path'
import { build, checkNode, install, main, root, run, ScriptError } from './workspace.mjs'

const known = ['postgres', 'processes', 'service']

main(async () => {
  checkNode()
  const args = process.argv.slice(2)
  if (!known.includes(args[0])) throw new ScriptError(`Say to what: npm run chaos -- ${known.join(' | ')}`)
  await install()
  await build()
  await run(process.execPath, [join(root, 'chaos', 'main.js'), ...args])
})
