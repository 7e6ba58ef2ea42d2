import { Outcome, PATTERNS_MAX, PRELUDE, SHAPE_BYTES } from './layout.js'
import { Script } from './script.js'

/**
 * Applies a batch of the log, or a slice of one, to one bucket.
 *
 * KEYS: state, stamps. ARGV: the number of buckets, the epoch, the position that the batch follows, its end, `1` if `m` moves to
 * the end now (the last slice), `1` if a new generation may begin where L2 is behind, the id of the shapes that the marks were made
 * for, a random generation and a random id of shapes in case a new one begins, how many stamps there may be, how many shapes are
 * marked as a whole, how many patterns there are, the position of the last mark, that of the last which only lets expire; then pairs of position and shape; triples of position, shape and pattern; pairs of
 * position and dependency.
 * Answers the outcome, `m`, the id of the shapes; the texts of all shapes, where the id was another.
 */
export const invalidateScript = new Script(`${PRELUDE}
local epoch, prev, last, id, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[7], tonumber(ARGV[10])
local st = state()
if st and st.b ~= ARGV[1] then return {${Outcome.buckets}, st.b} end
local isSame = st and st.e == epoch
if isSame and st.m < prev and ARGV[6] ~= '1' then return {${Outcome.behind}, st.m, st.i} end
-- Does nothing, but as a write: a script that has written may go on though Redis is out of memory. What is stale must get known.
redis.pcall('HDEL', S, '-')
if not isSame or st.m < prev then
  redis.call('UNLINK', S, Z)
  redis.call('HSET', S, 'g', ARGV[8], 'e', epoch, 'm', text(last), 'i', ARGV[9], 'b', ARGV[1], 'n', 0, 'h', 0, 'l', 0)
  redis.call('ZADD', Z, '+inf', ARGV[8])
  return {${Outcome.done}, last, ARGV[9]}
end
if st.m >= last then return {${Outcome.done}, st.m, st.i} end
if st.i ~= id then
  local answer = {${Outcome.shapes}, st.m, st.i}
  local all = redis.call('HGETALL', S)
  for j = 1, #all, 2 do
    if #all[j] == ${SHAPE_BYTES + 1} and string.sub(all[j], 1, 1) == 'd' then answer[#answer + 1] = all[j + 1] end
  end
  return answer
end
-- What is read is compared from here on.
st.l = math.max(st.l, tonumber(ARGV[13]))
st.x = math.max(st.x, tonumber(ARGV[14]))
redis.call('HSET', S, 'l', text(st.l), 'x', text(st.x))
local function raise(shape, position)
  local since = redis.call('HGET', S, 's' .. shape)
  if since and tonumber(since) < position then redis.call('HSET', S, 's' .. shape, text(position)) end
end
local function keep(shape, position, words)
  if tonumber(position) <= st.m or redis.call('HEXISTS', S, 's' .. shape) == 0 then return end
  local kept = cjson.decode(redis.call('HGET', S, 'P' .. shape) or '[]')
  -- A slice may come again.
  for _, each in ipairs(kept) do if each[1] == position and each[2] == words then return end end
  kept[#kept + 1] = {position, words}
  if #kept > ${PATTERNS_MAX} then raise(shape, tonumber(table.remove(kept, 1)[1])) end
  st.p = math.max(st.p, tonumber(position))
  redis.call('HSET', S, 'P' .. shape, cjson.encode(kept), 'p', text(st.p))
end
local from = 15 + 2 * tonumber(ARGV[11])
for j = 15, from - 1, 2 do raise(ARGV[j + 1], tonumber(ARGV[j])) end
local names = from + 3 * tonumber(ARGV[12])
for j = from, names - 1, 3 do keep(ARGV[j + 1], ARGV[j], ARGV[j + 2]) end
for j = names, #ARGV, 1000 do redis.call('ZADD', Z, 'GT', unpack(ARGV, j, math.min(j + 999, #ARGV))) end
local count = redis.call('ZCARD', Z) - 1
if count > most then
  -- What is dropped raises the since of its shape. More than must be, so that it is done once in a while.
  local surplus = math.min(count, count - most + math.floor(most / 16))
  local raised = {}
  for from = 0, surplus - 1, 1000 do
    local to = math.min(999, surplus - 1 - from)
    local oldest = redis.call('ZRANGE', Z, 0, to, 'WITHSCORES')
    for j = 1, #oldest, 2 do raised[string.sub(oldest[j], 1, ${SHAPE_BYTES})] = tonumber(oldest[j + 1]) end
    redis.call('ZREMRANGEBYRANK', Z, 0, to)
  end
  for shape, position in pairs(raised) do raise(shape, position) end
  count = count - surplus
end
local middle = count - math.floor(most / 2)
if middle > 0 then redis.call('HSET', S, 'h', redis.call('ZRANGE', Z, middle, middle, 'WITHSCORES')[2]) end
if ARGV[5] == '1' then
  redis.call('HSET', S, 'm', text(last))
  st.m = last
end
return {${Outcome.done}, st.m, st.i}
`)
