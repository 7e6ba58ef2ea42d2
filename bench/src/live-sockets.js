// Clients of a server's Socket.IO, in a process of its own: `node live-sockets.js <address> <tenant> <config>`. Told [{ index, path }] it follows
// each, a hundred over one connection, tells "open" when all have their first value, and from then on { index, at, data } of each value: ms
// since 1970, JSON.
import { io } from 'socket.io-client'
import { toldWhatToFollow } from './live-told.js'

const [address, tenant, config] = process.argv.slice(2)
const OF_ONE = 100
const AT_ONCE = 10
const tell = toldWhatToFollow({ atOnce: AT_ONCE, partsOf: hundreds, follow })

function hundreds(paths) {
  const parts = []
  for (let from = 0; from < paths.length; from += OF_ONE) parts.push(paths.slice(from, from + OF_ONE))
  return parts
}

async function follow(paths) {
  const socket = io(address, { forceNew: true, transports: ['websocket'], reconnection: false })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject))
  const indexes = new Map()
  socket.on('value', ({ subscription, value }) => {
    const at = performance.timeOrigin + performance.now()
    tell(indexes.get(subscription), at, JSON.stringify(value))
  })
  for (const { index, path } of paths) {
    const { problem, subscription } = await socket.emitWithAck('subscribe', { tenant, config, path })
    if (problem) throw new Error(`${path}: ${problem.detail}`)
    indexes.set(subscription, index)
  }
}
