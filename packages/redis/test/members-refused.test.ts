import { expect, test } from 'vitest'
import { redisMembers } from '../src/index.js'
import { oneRedis } from './one-redis.js'

const redis = oneRedis()

function meet(url = redis.url) {
  const members = redisMembers({ url, key: 'app:members' })
  redis.closers.push(async () => members.close())
  return members.say('process', '{}')
}

test('what Redis refuses those who meet there for is told for what it is', async () => {
  await redis.admin.set('app:members', 'something else')
  await expect(meet()).rejects.toMatchObject({
    code: 'TIDEMARK_REDIS_REFUSED',
    message: expect.stringContaining('holds something else'),
  })
  await redis.admin.del('app:members')
  await redis.admin.call('ACL', 'SETUSER', 'weak', 'on', '>secret', '~*', '+@connection', '+info')
  const address = (password: string) => redis.url.replace('redis://', `redis://weak:${password}@`)
  await expect(meet(address('secret'))).rejects.toMatchObject({ message: expect.stringContaining('+evalsha') })
  await expect(meet(address('other'))).rejects.toMatchObject({
    message: 'Redis does not know this user and password.',
  })
  await redis.admin.call('ACL', 'DELUSER', 'weak')
  expect(await meet()).toHaveLength(1)
})
