import { Script } from './script.js'

/** KEYS: the lease. ARGV: who asks, for how long (ms). Answers 1 if it is the asker's now. */
export const leaseScript = new Script(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)

/** KEYS: leases. ARGV: who lets go of each. */
export const releaseScript = new Script(`
for k, holder in ipairs(redis.call('MGET', unpack(KEYS))) do
  if holder == ARGV[k] then redis.call('UNLINK', KEYS[k]) end
end
return 1
`)
