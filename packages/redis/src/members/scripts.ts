import { createHash } from 'node:crypto'

/** A Lua script, and the digest by which a server that has seen it knows it. */
export interface Script {
  readonly text: string
  readonly sha: string
}

/** So many processes are told of each other. */
export const MEMBERS_MAX = 1_000

/**
 * ARGV: id, text. Says it, under the order that the process has or gets, and returns all fields and values; 0 if there are too many.
 * A process that was taken out comes back with another order.
 */
export const SAY: Script = script(`
local all = redis.call('HGETALL', KEYS[1])
local last, own, count = 0, nil, 0
for i = 1, #all, 2 do
  local order = tonumber(string.match(all[i + 1], '^%d+'))
  if order then
    count = count + 1
    if order > last then last = order end
    if all[i] == ARGV[1] then own = order end
  end
end
if not own and count >= ${MEMBERS_MAX} then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', own or last + 1) .. ' ' .. ARGV[2])
return redis.call('HGETALL', KEYS[1])
`)

/** ARGV: id, value. Takes it out if it is still the same. */
export const FORGET: Script = script(`
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
`)

function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}
