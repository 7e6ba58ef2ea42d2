import { DEPENDENCY_BYTES, HEAD_BYTES, JUDGE, Leased, MARK, Outcome, PRELUDE, SHAPE_BYTES, Verdict } from './layout.js'
import { Script } from './script.js'

/**
 * Reads entries of one bucket.
 *
 * KEYS: state, stamps, entries. ARGV: the number of buckets; who asks for the leases of what is not there, for how long (ms), if anybody
 * does. A lease lies beside its entry, under the same hash tag: it is named by the script, so that hits need not carry its name.
 * Answers the outcome, `m`, the epoch, Redis's clock (ms), patterns; then for each entry a verdict, or its bytes, or these with `1` if it has
 * expired, and the numbers of the patterns that are later: whether one of them means it, who reads says.
 *
 * What no mark is later than is as good as an MGET. The rest is compared with the stamps, all of a call at once: a call of Redis from Lua
 * costs more than what it looks up.
 *
 * An entry whose stamps will soon be dropped gets L2's tidemark as its position: up to there it has just been compared with all
 * stamps. So the limit of the stamps costs nothing that is read.
 */
export const readScript = new Script(`${PRELUDE}${JUDGE}
local st = state()
if not st then return {${Outcome.lost}} end
if st.b ~= ARGV[1] then return {${Outcome.buckets}, st.b} end
local function lease(key, verdict)
  if not ARGV[2] then return verdict end
  local name = leaseOf(key)
  if redis.pcall('SET', name, ARGV[2], 'PX', ARGV[3], 'NX') then return verdict + ${Leased.given} end
  if redis.pcall('GET', name) ~= ARGV[2] then return verdict + ${Leased.held} end
  redis.pcall('SET', name, ARGV[2], 'PX', ARGV[3])
  return verdict + ${Leased.given}
end
local function gone(key, verdict)
  redis.pcall('UNLINK', key)
  return lease(key, verdict)
end
local kept, told = {}, {}
local function patterns(p, v, ns)
  local later = {}
  for j = 1, ns do
    local at = ${HEAD_BYTES} + ${SHAPE_BYTES} * (j - 1)
    local shape = string.sub(v, at + 1, at + ${SHAPE_BYTES})
    if not kept[shape] then
      kept[shape] = cjson.decode(redis.call('HGET', S, 'P' .. shape) or '[]')
      for _, each in ipairs(kept[shape]) do
        told[#told + 1] = each[2]
        each[3] = #told
      end
    end
    for _, each in ipairs(kept[shape]) do
      if tonumber(each[1]) > p then later[#later + 1] = each[3] end
    end
  end
  return later
end
local function renewed(key, p, v)
  if p >= st.h or p >= st.m then return v end
  local position = struct.pack('>dd', st.m, -1 - st.m)
  if type(redis.pcall('SETRANGE', key, 10, position)) ~= 'number' then return v end
  return string.sub(v, 1, 10) .. position .. string.sub(v, 27)
end
local out = {${Outcome.done}, st.m, st.e, now(), told}
local head = '${MARK}' .. st.g
local old = {}
for k, v in ipairs(redis.call('MGET', unpack(KEYS, 3))) do
  local key = KEYS[k + 2]
  if not v then out[k + 5] = lease(key, ${Verdict.none})
  elseif #v < ${HEAD_BYTES} or string.sub(v, 1, 2) ~= '${MARK}' then out[k + 5] = gone(key, ${Verdict.unreadable})
  elseif string.sub(v, 1, 10) ~= head then out[k + 5] = gone(key, ${Verdict.void})
  else
    local p, q = struct.unpack('>dd', v, 11)
    if p + q ~= -1 then out[k + 5] = gone(key, ${Verdict.unreadable})
    elseif p >= st.l then out[k + 5] = v
    else
      local ns, nd = struct.unpack('>HH', v, ${HEAD_BYTES - 3})
      local from = ${HEAD_BYTES + 1} + ${SHAPE_BYTES} * ns
      local to = from + ${DEPENDENCY_BYTES} * nd
      if #v < to then out[k + 5] = gone(key, ${Verdict.unreadable})
      else
        ask(k, p, v, from, to)
        if p < st.x then ask(-k, p, v, from, to, true) end
        old[#old + 1] = {k, v, ns, from}
      end
    end
  end
end
compare()
for _, each in ipairs(old) do
  local k, v, ns, from = unpack(each)
  local key, p = KEYS[k + 2], positions[k]
  local registered = since(v, ${HEAD_BYTES + 1}, from)
  if touched[k] or not registered or registered > p then out[k + 5] = gone(key, ${Verdict.void})
  else
    local later = p < st.p and patterns(p, v, ns) or {}
    local isPlain = #later == 0 and not touched[-k]
    out[k + 5] = isPlain and renewed(key, p, v) or {v, touched[-k] and 1 or 0, later}
  end
end
return out
`)
