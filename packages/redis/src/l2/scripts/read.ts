import { DEPENDENCY_BYTES, HEAD_BYTES, Leased, MARK, Outcome, PRELUDE, SHAPE_BYTES, Verdict } from './layout.js'
import { Script } from './script.js'

/**
 * Reads entries of one bucket.
 *
 * KEYS: state, stamps, entries. ARGV: the number of buckets; who asks for the leases of what is not there, for how long (ms), if anybody
 * does. A lease lies beside its entry, under the same hash tag: it is named by the script, so that hits need not carry its name.
 * Answers the outcome, `m`, the epoch; then for each entry a verdict, or its bytes, its position, what is left of its time (ms), and the patterns
 * that are later, if there are any: whether one of them means it, who reads says.
 *
 * An entry whose stamps will soon be dropped gets L2's tidemark as its position: up to there it has just been compared with all
 * stamps. So the limit of the stamps costs nothing that is read.
 */
export const readScript = new Script(`${PRELUDE}
local st = state()
if not st then return {${Outcome.lost}} end
if st.b ~= ARGV[1] then return {${Outcome.buckets}, st.b} end
local function gone(key, verdict)
  redis.pcall('UNLINK', key)
  return verdict
end
local function patterns(p, v, ns)
  local later = {}
  for j = 1, ns do
    local at = ${HEAD_BYTES} + ${SHAPE_BYTES} * (j - 1)
    local kept = redis.call('HGET', S, 'P' .. string.sub(v, at + 1, at + ${SHAPE_BYTES}))
    for _, each in ipairs(kept and cjson.decode(kept) or {}) do
      if tonumber(each[1]) > p then later[#later + 1] = each[2] end
    end
  end
  return #later > 0 and later or nil
end
local function read(key)
  local v = redis.pcall('GET', key)
  if not v then return ${Verdict.none} end
  if type(v) == 'table' or #v < ${HEAD_BYTES} or string.sub(v, 1, 2) ~= '${MARK}' then return gone(key, ${Verdict.unreadable}) end
  if string.sub(v, 3, 10) ~= st.g then return gone(key, ${Verdict.void}) end
  local p, q, ns, nd = struct.unpack('>ddHH', v, 11)
  local from = ${HEAD_BYTES + 1} + ${SHAPE_BYTES} * ns
  local to = from + ${DEPENDENCY_BYTES} * nd
  if p + q ~= -1 or #v < to then return gone(key, ${Verdict.unreadable}) end
  local touched, missing = after(p, v, ${HEAD_BYTES + 1}, from, ${SHAPE_BYTES}, 'HMGET', S, 's')
  if touched or missing or after(p, v, from, to, ${DEPENDENCY_BYTES}, 'ZMSCORE', Z, '') then return gone(key, ${Verdict.void}) end
  local left = redis.call('PTTL', key)
  if left < 0 then return gone(key, ${Verdict.unreadable}) end
  local later = p < st.p and patterns(p, v, ns) or nil
  if later then return {v, p, left, later} end
  if p < st.h and p < st.m then
    local renewed = redis.pcall('SETRANGE', key, 10, struct.pack('>dd', st.m, -1 - st.m))
    if type(renewed) == 'number' then p = st.m end
  end
  return {v, p, left}
end
local function lease(key, verdict)
  if not ARGV[2] then return verdict end
  local name = string.sub(S, 1, -2) .. 'l' .. string.sub(key, #S)
  local holder = redis.pcall('GET', name)
  if type(holder) == 'string' and holder ~= ARGV[2] then return verdict + ${Leased.held} end
  redis.pcall('SET', name, ARGV[2], 'PX', ARGV[3])
  return verdict + ${Leased.given}
end
local out = {${Outcome.done}, st.m, st.e}
for k = 3, #KEYS do
  local found = read(KEYS[k])
  out[k + 1] = type(found) == 'number' and lease(KEYS[k], found) or found
end
return out
`)
