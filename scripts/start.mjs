// `npm start`: the blog, from a bare clone. What follows `--` goes to it: npm start -- --port 9500 --data /tmp/blog
import { build, checkNode, install, main } from './workspace.mjs'

main(async () => {
  checkNode()
  await install()
  await build()
  // In this process, so that signals need no one to pass them on.
  await import('../examples/blog/start.js')
})
