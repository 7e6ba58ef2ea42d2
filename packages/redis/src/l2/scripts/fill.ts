import {
  DEPENDENCY_BYTES,
  FILL_BYTES,
  FillFlag,
  JUDGE,
  MARK,
  Outcome,
  PRELUDE,
  SHAPE_BYTES,
  STORED_AT,
  Verdict,
} from './layout.js'
import { Script } from './script.js'

/** Where the shapes begin in what stands for an entry, counted from 1: behind checksum and counts. */
const SHAPES_AT = FILL_BYTES + 9

/**
 * Stores entries of one bucket.
 *
 * KEYS: state, stamps, entries. ARGV: the number of buckets, the epoch, a random id for the set of shapes if it grows, how many shapes there
 * may be, who lets go of leases; then the entries, each as `Sealed` has it; then, unless all are thought to be registered, the texts of
 * the shapes of each (JSON). One text for each entry: a client takes longer to send ten small ones.
 * Answers the outcome, and a verdict for each entry; where there are too many shapes, that with the numbers of those that are missing.
 */
export const fillScript = new Script(`${PRELUDE}${JUDGE}
local st = state()
if not st then return {${Outcome.lost}} end
if st.b ~= ARGV[1] then return {${Outcome.buckets}, st.b} end
local epoch, most, holder = ARGV[2], tonumber(ARGV[4]), ARGV[5]
local entries = #KEYS - 2
local isDescribed = #ARGV > 5 + entries
local function register(v, ns, texts, most)
  local count = tonumber(redis.call('HGET', S, 'n') or '0')
  local missing = {${Verdict.shapesMax}}
  local function shapeAt(j)
    return string.sub(v, ${SHAPES_AT} + ${SHAPE_BYTES} * (j - 1), ${SHAPES_AT - 1} + ${SHAPE_BYTES} * j)
  end
  for j = 1, ns do
    if redis.call('HEXISTS', S, 's' .. shapeAt(j)) == 0 then
      if not texts[j] then return ${Verdict.unknownShape} end
      missing[#missing + 1] = j
    end
  end
  if count + #missing - 1 > most then return missing end
  for n = 2, #missing do
    local j = missing[n]
    local shape = shapeAt(j)
    local done = redis.pcall('HSET', S, 's' .. shape, text(st.m), 'd' .. shape, texts[j], 'i', ARGV[3], 'n', count + n - 1)
    if type(done) == 'table' then return ${Verdict.unwritable} end
  end
end
local time = now()
local stored = struct.pack('>dd', time, -1 - time)
local leases = {}
local function fill(key, v, texts)
  local flags, p, ttl = struct.unpack('>Bdd', v)
  local ns, nd = struct.unpack('>HH', v, ${SHAPES_AT - 4})
  local from = ${SHAPES_AT} + ${SHAPE_BYTES} * ns
  if epoch ~= st.e then return ${Verdict.void} end
  local registered = since(v, ${SHAPES_AT}, from)
  if not registered then
    sinces = {}
    local refused = register(v, ns, texts and cjson.decode(texts) or {}, flags % 2 == ${FillFlag.wide} and 2 * most or most)
    if refused then return refused end
    -- What was registered now is stamped from here on, and was not before.
    registered = since(v, ${SHAPES_AT}, from)
  end
  if registered > p then return ${Verdict.void} end
  if p < st.l then
    touched[key] = nil
    ask(key, p, v, from, from + ${DEPENDENCY_BYTES} * nd)
    if p < st.x then ask(key, p, v, from, from + ${DEPENDENCY_BYTES} * nd, true) end
    compare()
    if touched[key] then return ${Verdict.void} end
  end
  local entry = '${MARK}' .. st.g .. struct.pack('>dd', p, -1 - p) .. stored .. string.sub(v, ${FILL_BYTES + 1})
  -- Mostly there is none: then it is one call.
  local done = redis.pcall('SET', key, entry, 'PX', text(ttl), 'NX')
  if not done then
    local old = redis.pcall('GETRANGE', key, 0, ${STORED_AT - 1})
    if type(old) == 'string' and #old == ${STORED_AT} and string.sub(old, 3, 10) == st.g then
      local there, again = struct.unpack('>dd', old, 11)
      if there + again == -1 and there > p then return ${Verdict.newer} end
    end
    done = redis.pcall('SET', key, entry, 'PX', text(ttl))
  end
  if not done.ok then return ${Verdict.unwritable} end
  if flags >= ${FillFlag.release} then leases[#leases + 1] = leaseOf(key) end
  return ${Verdict.none}
end
local out = {${Outcome.done}}
for k = 1, entries do out[k + 1] = fill(KEYS[k + 2], ARGV[k + 5], isDescribed and ARGV[k + 5 + entries]) end
if #leases > 0 then
  local ended = {}
  for k, each in ipairs(redis.call('MGET', unpack(leases))) do
    if each == holder then ended[#ended + 1] = leases[k] end
  end
  if #ended > 0 then redis.call('UNLINK', unpack(ended)) end
end
return out
`)
