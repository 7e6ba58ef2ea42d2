export type { IoRedis, StreamAddress } from './stream/address.js'
export { RedisDownError, RedisRefusedError } from './stream/errors.js'
export { type RedisLogOptions, redisLog } from './stream/redis-log.js'
