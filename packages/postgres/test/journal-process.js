// A process that asks for invalidations, and says which were accepted: `node journal-process.js <url> <slot> <heads> <name>`.

import { postgres } from '@tidemark/postgres'
import { createCache } from 'tidemark'

const [url, slot, heads, name] = process.argv.slice(2)
const cache = createCache({ source: postgres({ url, slot, secret: 'a secret of the test', journal: { heads } }) })
let asked = 0
const ask = async () => {
  for (;;) {
    const requestId = `${name}-${++asked}`
    try {
      await cache.tenant(`tenant ${asked % 3}`).invalidate({ keys: [`key:${asked}`], by: { actor: name, requestId } })
      process.stdout.write(`${requestId}\n`)
    } catch {
      // Not accepted: it may be in the log all the same.
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
for (let i = 0; i < 2; i++) void ask()
