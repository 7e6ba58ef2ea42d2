// `npm run demo:flags`: feature flags in config trees, from a bare clone. What follows `--` goes to it: npm run demo:flags -- --port 9500
import { build, checkNode, install, main } from './workspace.mjs'

main(async () => {
  checkNode()
  await install()
  await build()
  await import('../examples/feature-flags/start.js')
})
