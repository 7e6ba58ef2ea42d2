import { createHash } from 'node:crypto'

/** A Lua script, and the digest by which a server that has seen it knows it. */
export interface Script {
  readonly text: string
  readonly sha: string
}

/**
 * What both scripts begin with: the newest record, and a birth where there is none of ours.
 *
 * Ids are `<position>-0`. A new history begins at the clock's milliseconds times 1,024: above every position of the one before it, so
 * that readers which wait there wake and see that it is another. Within a history positions are consecutive.
 */
const COMMON = `
local key = KEYS[1]
local function named(flat)
  local fields = {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end
local function positionOf(id) return tonumber(string.match(id, '^%d+')) end
local function newest()
  local entry = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  if not entry then return nil end
  local fields = named(entry[2])
  return { id = entry[1], epoch = fields.e, token = fields.t or '' }
end
local function born(epoch, token)
  local last = 0
  if redis.call('EXISTS', key) == 1 then
    local info = named(redis.call('XINFO', 'STREAM', key))
    last = positionOf(info['last-generated-id'])
  end
  local time = redis.call('TIME')
  local position = math.max(last + 1, (tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)) * 1024)
  local id = string.format('%.0f-0', position)
  redis.call('XADD', key, id, 'e', epoch, 'p', '', 'q', '', 't', token)
  return { id = id, epoch = epoch, token = token }
end
local tail = newest()
if not tail or not tail.epoch then tail = born(ARGV[1], ARGV[2]) end
`

/**
 * ARGV: epoch and token for a birth; a place's id, or ''.
 * Returns the run of the server; the newest record's id, epoch, token; the token at the place, or ''; and of the first record after the
 * place the predecessor's id and token that it names, or ''.
 */
export const LOOK: Script = script(`
-- A replica refuses writes by itself; what it would answer here lags.
local replication = redis.call('INFO', 'replication')
if not string.find(replication, 'role:master', 1, true) then return redis.error_reply('READONLY it is a replica') end
${COMMON}
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
local at, before, token = '', '', ''
if ARGV[3] ~= '' then
  local there = redis.call('XRANGE', key, ARGV[3], ARGV[3])[1]
  if there then at = named(there[2]).t or '' end
  local after = redis.call('XRANGE', key, '(' .. ARGV[3], '+', 'COUNT', 1)[1]
  if after then
    local fields = named(after[2])
    before, token = fields.p or '', fields.q or ''
  end
end
return { run, tail.id, tail.epoch, tail.token, at, before, token }
`)

/**
 * ARGV: epoch and token for a birth; how many records are kept; how many of the newest are searched for the first of these, because all of
 * them may have been written before; the token of the record that they have to follow, or '' for any; then token, body and seal of each
 * record. All are written, or none. Returns the last one's id; '' if the newest record is not the one that they have to follow.
 */
export const APPEND: Script = script(`${COMMON}
local searched = tonumber(ARGV[4])
if searched > 0 then
  for _, entry in ipairs(redis.call('XREVRANGE', key, '+', '-', 'COUNT', searched)) do
    if named(entry[2]).t == ARGV[6] then return entry[1] end
  end
end
if ARGV[5] ~= '' and ARGV[5] ~= tail.token then return '' end
local position, before, token = positionOf(tail.id), tail.id, tail.token
for i = 6, #ARGV, 3 do
  position = position + 1
  local id = string.format('%.0f-0', position)
  redis.call('XADD', key, 'MAXLEN', '~', ARGV[3], id,
    'e', tail.epoch, 'p', before, 'q', token, 't', ARGV[i], 'b', ARGV[i + 1], 'h', ARGV[i + 2])
  before, token = id, ARGV[i]
end
return before
`)

function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}
