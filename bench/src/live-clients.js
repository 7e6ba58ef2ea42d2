// Clients of a server's streams, in a process of its own: `node live-clients.js <address>`. Told [{ index, path }] it opens a stream of each,
// tells "open" when all have their first event, and from then on { index, at, data } of each event: ms since 1970.
import { get } from 'node:http'
import { toldWhatToFollow } from './live-told.js'

const address = process.argv[2]
/** So many connect at once: a server's queue of new connections is short. */
const AT_ONCE = 100
const tell = toldWhatToFollow({ atOnce: AT_ONCE, partsOf: (paths) => [...paths], follow })

function follow({ index, path }) {
  return new Promise((resolve, reject) => {
    const asked = get(address + path, { agent: false }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`${path}: ${response.statusCode}`))
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => {
        const at = performance.timeOrigin + performance.now()
        text += chunk
        const events = text.split('\n\n')
        text = events.pop()
        for (const event of events) {
          const data = /^data: (.*)$/m.exec(event)?.[1]
          if (data === undefined) continue
          tell(index, at, data)
          resolve()
        }
      })
    })
    asked.on('error', reject)
  })
}
