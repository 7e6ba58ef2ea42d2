// Asks a server for some seconds: `node http-client.js keys|get <address> <seconds>`. Prints {"count": requests, "perSecond": keys}.
import { Agent, request } from 'node:http'

const [kind, address, seconds] = process.argv.slice(2)
const KEYS = 1_000
const kinds = {
  keys: {
    connections: 4,
    method: 'POST',
    path: '/invalidate/key',
    body: (n) => JSON.stringify({ keys: Array.from({ length: KEYS }, (_, i) => `user:profile:${n}:${i}`) }),
  },
  get: { connections: 16, method: 'GET', path: '/api/cache/user:7', body: () => undefined },
}
const { connections, method, path, body } = kinds[kind]
const agent = new Agent({ keepAlive: true, maxSockets: connections })
const { hostname, port } = new URL(address)
let count = 0

function ask() {
  const text = body(count)
  const headers = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': text.length }
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, agent, method, path, headers }, (response) => {
      response.resume().on('end', () => {
        count++
        if (response.statusCode === 200) resolve()
        else reject(new Error(`${response.statusCode}`))
      })
    })
    asked.on('error', reject).end(text)
  })
}

const began = performance.now()
const until = began + Number(seconds) * 1_000
await Promise.all(
  Array.from({ length: connections }, async () => {
    while (performance.now() < until) await ask()
  }),
)
const perSecond = (count * KEYS * 1_000) / (performance.now() - began)
console.log(JSON.stringify({ count, perSecond }))
agent.destroy()
