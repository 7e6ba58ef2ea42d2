// One of several bare processes: `node spread-bare.js alone|writer|reader <url> <port of Redis>`, forked. `alone` takes the commits from a replication
// connection; `writer` does too, and writes each into a stream of Redis; `reader` takes them from there. Says when it is there; asked for anything,
// answers each commit's position with ms from the commit to here.
import { followRaw } from './floor.js'
import { Redis } from './redis.js'

const STREAM = 'bare'
const [role, url, port] = process.argv.slice(2)
let seen = []
const note = (position, committedAt) =>
  seen.push([position, performance.timeOrigin + performance.now() - Number(committedAt)])

const roles = {
  alone: () => followRaw(url, slotName(), (committedAt, position) => note(position, committedAt)),

  async writer() {
    const redis = await connected()
    await followRaw(url, slotName(), (committedAt, position) => {
      void redis.xadd(STREAM, '*', 'p', position, 'a', committedAt)
      note(position, committedAt)
    })
  },

  async reader() {
    const redis = await connected()
    void read(redis)
  },
}

function slotName() {
  return `bench_bare_${process.pid}`
}

async function connected() {
  const redis = new Redis(port, '127.0.0.1')
  await redis.ping()
  return redis
}

async function read(redis) {
  for (let last = '0'; ; ) {
    const [[, entries]] = await redis.xread('BLOCK', 0, 'STREAMS', STREAM, last)
    for (const [id, [, position, , committedAt]] of entries) {
      last = id
      note(position, committedAt)
    }
  }
}

await roles[role]()
process.on('message', () => {
  process.send({ seen })
  seen = []
})
process.on('disconnect', () => process.exit())
process.send({ isReady: true })
