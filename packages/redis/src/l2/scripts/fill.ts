import { DEPENDENCY_BYTES, JUDGE, MARK, Outcome, PRELUDE, SHAPE_BYTES, STORED_AT, Verdict } from './layout.js'
import { Script } from './script.js'

/**
 * Stores entries of one bucket.
 *
 * KEYS: state, stamps, entries. ARGV: the number of buckets, a random id for the set of shapes if it grows; then for each entry its epoch,
 * its position, its time in Redis (ms), its bytes from the checksum on, the texts of its shapes (JSON; empty where all are thought to be
 * registered), and how many shapes there may be for it to add some.
 * Answers the outcome, and a verdict for each entry; where there are too many shapes, that with the numbers of those that are missing.
 */
export const fillScript = new Script(`${PRELUDE}${JUDGE}
local st = state()
if not st then return {${Outcome.lost}} end
if st.b ~= ARGV[1] then return {${Outcome.buckets}, st.b} end
local function register(rest, ns, texts, most)
  local count = tonumber(redis.call('HGET', S, 'n') or '0')
  local missing = {${Verdict.shapesMax}}
  for j = 1, ns do
    local shape = string.sub(rest, 9 + ${SHAPE_BYTES} * (j - 1), 8 + ${SHAPE_BYTES} * j)
    if redis.call('HEXISTS', S, 's' .. shape) == 0 then
      if not texts[j] then return ${Verdict.unknownShape} end
      missing[#missing + 1] = j
    end
  end
  if count + #missing - 1 > tonumber(most) then return missing end
  for n = 2, #missing do
    local j = missing[n]
    local shape = string.sub(rest, 9 + ${SHAPE_BYTES} * (j - 1), 8 + ${SHAPE_BYTES} * j)
    local done = redis.pcall('HSET', S, 's' .. shape, text(st.m), 'd' .. shape, texts[j], 'i', ARGV[2], 'n', count + n - 1)
    if type(done) == 'table' then return ${Verdict.unwritable} end
  end
end
local time = now()
local stored = struct.pack('>dd', time, -1 - time)
local function fill(key, epoch, position, ttl, rest, texts, most)
  local p = tonumber(position)
  local ns, nd = struct.unpack('>HH', rest, 5)
  local from = 9 + ${SHAPE_BYTES} * ns
  if epoch ~= st.e then return ${Verdict.void} end
  local registered = since(rest, 9, from)
  if not registered then
    sinces = {}
    local refused = register(rest, ns, texts == '' and {} or cjson.decode(texts), most)
    if refused then return refused end
    -- What was registered now is stamped from here on, and was not before.
    registered = since(rest, 9, from)
  end
  if registered > p then return ${Verdict.void} end
  if p < st.l then
    touched[key] = nil
    ask(key, p, rest, from, from + ${DEPENDENCY_BYTES} * nd)
    if p < st.x then ask(key, p, rest, from, from + ${DEPENDENCY_BYTES} * nd, true) end
    compare()
    if touched[key] then return ${Verdict.void} end
  end
  local old = redis.pcall('GETRANGE', key, 0, ${STORED_AT - 1})
  if type(old) == 'string' and #old == ${STORED_AT} and string.sub(old, 3, 10) == st.g then
    local there, again = struct.unpack('>dd', old, 11)
    if there + again == -1 and there > p then return ${Verdict.newer} end
  end
  local done = redis.pcall('SET', key, '${MARK}' .. st.g .. struct.pack('>dd', p, -1 - p) .. stored .. rest, 'PX', ttl)
  return done.ok and ${Verdict.none} or ${Verdict.unwritable}
end
local out = {${Outcome.done}}
for k = 3, #KEYS do
  local a = 6 * k - 15
  out[k - 1] = fill(KEYS[k], ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[a + 5])
end
return out
`)
