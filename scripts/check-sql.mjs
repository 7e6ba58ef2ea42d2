// `npm run check:sql`: builds, and compares cached answers with PostgreSQL's for random queries and writes; see docs/checker.md.
import { join } from 'node:path'
import { build, checkNode, install, main, root, run } from './workspace.mjs'

main(async () => {
  checkNode()
  await install()
  await build()
  await run(process.execPath, [join(root, 'checker', 'dist', 'main.js'), ...process.argv.slice(2)])
})
