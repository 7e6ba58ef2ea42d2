import { DEPENDENCY_BYTES, HEAD_BYTES, MARK, Outcome, PRELUDE, SHAPE_BYTES, Verdict } from './layout.js'
import { Script } from './script.js'

/**
 * Stores entries of one bucket.
 *
 * KEYS: state, stamps, entries. ARGV: the number of buckets, a random id for the set of shapes if it grows; then for each entry its epoch,
 * its position, its time in Redis (ms), its bytes from the number of shapes on, the texts of its shapes (JSON; empty where all are thought to be
 * registered), and how many shapes there may be for it to add some.
 * Answers the outcome, and a verdict for each entry; where there are too many shapes, that with the numbers of those that are missing.
 */
export const fillScript = new Script(`${PRELUDE}
local st = state()
if not st then return {${Outcome.lost}} end
if st.b ~= ARGV[1] then return {${Outcome.buckets}, st.b} end
local function register(rest, ns, texts, most)
  local count = tonumber(redis.call('HGET', S, 'n') or '0')
  local missing = {${Verdict.shapesMax}}
  for j = 1, ns do
    local shape = string.sub(rest, 5 + ${SHAPE_BYTES} * (j - 1), 4 + ${SHAPE_BYTES} * j)
    if redis.call('HEXISTS', S, 's' .. shape) == 0 then
      if not texts[j] then return ${Verdict.unknownShape} end
      missing[#missing + 1] = j
    end
  end
  if count + #missing - 1 > tonumber(most) then return missing end
  for n = 2, #missing do
    local j = missing[n]
    local shape = string.sub(rest, 5 + ${SHAPE_BYTES} * (j - 1), 4 + ${SHAPE_BYTES} * j)
    local done = redis.pcall('HSET', S, 's' .. shape, text(st.m), 'd' .. shape, texts[j], 'i', ARGV[2], 'n', count + n - 1)
    if type(done) == 'table' then return ${Verdict.unwritable} end
  end
end
local function fill(key, epoch, position, ttl, rest, texts, most)
  local p = tonumber(position)
  local ns, nd = struct.unpack('>HH', rest)
  local from = 5 + ${SHAPE_BYTES} * ns
  if epoch ~= st.e then return ${Verdict.void} end
  local touched, missing = after(p, rest, 5, from, ${SHAPE_BYTES}, 'HMGET', S, 's')
  if missing or touched then
    local refused = register(rest, ns, texts == '' and {} or cjson.decode(texts), most)
    if refused then return refused end
    -- What was registered now is stamped from here on, and was not before.
    if touched or st.m > p then return ${Verdict.void} end
  end
  if after(p, rest, from, from + ${DEPENDENCY_BYTES} * nd, ${DEPENDENCY_BYTES}, 'ZMSCORE', Z, '') then return ${Verdict.void} end
  local old = redis.pcall('GETRANGE', key, 0, ${HEAD_BYTES - 1})
  if type(old) == 'string' and #old == ${HEAD_BYTES} and string.sub(old, 3, 10) == st.g then
    local there, again = struct.unpack('>dd', old, 11)
    if there + again == -1 and there > p then return ${Verdict.newer} end
  end
  local stored = redis.pcall('SET', key, '${MARK}' .. st.g .. struct.pack('>dd', p, -1 - p) .. rest, 'PX', ttl)
  return stored.ok and ${Verdict.none} or ${Verdict.unwritable}
end
local out = {${Outcome.done}}
for k = 3, #KEYS do
  local a = 6 * k - 15
  out[k - 1] = fill(KEYS[k], ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[a + 5])
end
return out
`)
