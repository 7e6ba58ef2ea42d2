import { MARK, Outcome, POSITION_AT, PRELUDE } from './layout.js'
import { Script } from './script.js'

/**
 * KEYS: state, stamps, entries. ARGV: the number of buckets, an epoch, a position. Removes the entries of this generation that are older, and
 * answers the outcome and how many there were.
 */
export const removeScript = new Script(`${PRELUDE}
local st = state()
if not st then return {${Outcome.lost}} end
if st.b ~= ARGV[1] then return {${Outcome.buckets}, st.b} end
if st.e ~= ARGV[2] then return {${Outcome.epoch}} end
local before, mark, removed = tonumber(ARGV[3]), '${MARK}' .. st.g, 0
for k = 3, #KEYS do
  local head = redis.pcall('GETRANGE', KEYS[k], 0, ${POSITION_AT + 7})
  if type(head) == 'string' and #head == ${POSITION_AT + 8} and string.sub(head, 1, ${POSITION_AT}) == mark
    and struct.unpack('>d', head, ${POSITION_AT + 1}) < before then
    removed = removed + redis.call('UNLINK', KEYS[k])
  end
end
return {${Outcome.done}, removed}
`)
