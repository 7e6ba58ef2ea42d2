import { expect, test } from 'vitest'
import { redisLog, type StreamOptions } from '../src/index.js'
import { oneRedis } from './one-redis.js'
import { appendRaw } from './raw-record.js'
import { Recorder, request } from './recorder.js'
import { until } from './redis-server.js'

// A name that somebody else wrote into the stream might be taken for who asked.

const stream = 'tidemark:log'
const server = oneRedis()
const { closers } = server

async function follow(options: Partial<StreamOptions> = {}): Promise<Recorder> {
  const log = redisLog({ url: server.url, ...options })
  closers.push(() => log.close())
  const heard = new Recorder(log)
  await heard.hasStarted()
  return heard
}

test('who asked is told where the seal shows that it was us, and nowhere else', async () => {
  const by = { actor: 'admin', requestId: 'req-001', cause: 'a test' }
  const heard = await follow({ secret: 'ours' })
  const [ours, stranger, open] = ['ours', 'another', undefined].map((secret) =>
    redisLog({ url: server.url, ...(secret === undefined ? {} : { secret }) }),
  )
  for (const each of [ours, stranger, open]) closers.push(() => each!.close())
  await ours!.append({ ...request('ours'), by })
  await stranger!.append({ ...request('forged'), by })
  await open!.append({ ...request('unsealed'), by })
  await heard.hears('unsealed')
  expect(heard.requests.slice(-3).map((each) => [each.nonce, each.by])).toEqual([
    ['ours', by],
    ['forged', undefined],
    ['unsealed', undefined],
  ])
})

test('without a secret a process believes only itself about who asked', async () => {
  const by = { actor: 'admin' }
  const [one, other] = [await follow(), await follow()]
  await one.log.append({ ...request('named', 'expire'), by })
  await Promise.all([one.hears('named'), other.hears('named')])
  expect(one.requests.at(-1)).toEqual({ ...request('named', 'expire'), by })
  expect(other.requests.at(-1)).toEqual(request('named', 'expire'))
  // The same nonce once more is somebody else's.
  await other.log.append({ ...request('named'), by: { actor: 'root' } })
  await one.hears('named')
  await until(() => one.nonces.filter((nonce) => nonce === 'named').length === 2)
  expect(one.requests.at(-1)).toEqual(request('named'))
})

test('what cannot be read of who asked is left out, and the record counts', async () => {
  const heard = await follow()
  const of = (by: string) =>
    `{"v":1,"a":1,"c":[{"kind":"target","mode":"drop","nonce":"odd","targets":[{"kind":"everything"}],"by":${by}}]}`
  for (const by of ['7', 'null', '[]', '{"actor":7}', '{"__proto__":{"actor":"root"}}'])
    await appendRaw(server.admin, stream, of(by))
  await until(() => heard.nonces.filter((nonce) => nonce === 'odd').length === 5)
  for (const each of heard.requests.slice(-5)) expect(each.by).toBe(undefined)
  expect(heard.starts.length).toBe(1)
})
