import { createServer } from 'node:net'

/**
 * A port that nobody listens on, below those that systems give to outgoing connections (32,768 on Linux, 49,152
 * elsewhere), as are those 10,000 above that a Redis Cluster takes too: where a server is killed and started again on
 * its port, no connection of another has it meanwhile.
 *
 * @returns {Promise<number>}
 */
export async function freePort() {
  for (let tried = 0; tried < 100; tried++) {
    const port = 10_000 + Math.floor(Math.random() * 12_000)
    if (await isFree(port)) return port
  }
  throw new Error('No free port was found in 100 tries.')
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
