// `npm run bench`: builds and measures; see docs/benchmarks.md. What follows `--` goes to it: npm run bench -- --smoke peek
import { join } from 'node:path'
import { build, checkNode, install, main, root, run } from './workspace.mjs'

main(async () => {
  checkNode()
  await install()
  await build()
  await run(process.execPath, [join(root, 'bench', 'src', 'main.js'), ...process.argv.slice(2)])
})
