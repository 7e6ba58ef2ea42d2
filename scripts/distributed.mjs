// `npm run demo:distributed`: the blog in four processes, from a bare clone.
import { build, checkNode, install, main } from './workspace.mjs'

main(async () => {
  checkNode()
  await install()
  await build()
  await import('../examples/blog/distributed/start.js')
})
