/**
 * How a bucket lies in Redis. Its keys share a hash tag, so that one script reaches all of it in one step.
 *
 * - the state, a hash: `g` generation, `e` epoch, `m` L2's tidemark, `i` the id of the set of shapes, `b` the number of buckets,
 *   `n` how many shapes there are, `h` the position below which a read renews an entry's; of each shape, by its id: `s…` its
 *   `since`, `d…` its text,
 *   `P…` its last patterns (JSON: pairs of position and text); `p` the position of the last pattern of all, `l` that of the last mark of
 *   all: nothing that is stamped is later; `x` that of the last stamp that lets expire.
 * - the stamps, a sorted set: dependency → the last position that touched it; with one bit changed, that let it expire. The generation is a member too: where it is missing
 *   the stamps were lost (evicted by Redis, say), and nothing is believed.
 * - an entry, a string: the head, its shapes, its dependencies, then what only the client reads.
 *
 * State and stamps never expire, entries always do: so the policies `volatile-…` evict entries alone.
 */
export const LAYOUT = 3

/** So many patterns are kept of each shape. */
export const PATTERNS_MAX = 32

/** The first bytes of an entry. */
export const MARK = 'T1'

/**
 * Bytes of an entry before its shapes: mark, generation (8), position (a double), the position again (-1 - p: a checksum that a script
 * can write), when it was stored by Redis's clock (ms, a double), that again, the client's checksum of all that follows (4), the number of
 * shapes, the number of dependencies (2 each). From the checksum on it is as the client made it.
 */
export const POSITION_AT = 2 + 8
export const STORED_AT = POSITION_AT + 16
export const CHECKSUM_AT = STORED_AT + 16
export const HEAD_BYTES = CHECKSUM_AT + 4 + 4

/** What `fillScript` is told of an entry, before the bytes from the checksum on: flags; its position, its time in Redis (ms), doubles. */
export const FILL_BYTES = 1 + 8 + 8
/** Its wide stamps are used where there is no room for others; and who stores it lets go of the lease of its key. */
export const FillFlag = { wide: 1, release: 2 } as const

/** The id of a shape: long enough that nobody finds two that collide, which would leave one of them without stamps. */
export const SHAPE_BYTES = 16

/** A dependency: its shape's id, and 8 bytes of a hash of its name. Two that collide are stamped together: a lost hit, never a wrong one. */
export const DEPENDENCY_BYTES = SHAPE_BYTES + 8
/** Of its last byte. */
export const EXPIRY_BIT = 128

/** What a script answers first. */
export const Outcome = {
  done: 1,
  /** There is no state, or a part of it is missing: nothing is believed until a batch begins a new generation. */
  lost: 0,
  /** L2 was made with another number of buckets; its number follows. */
  buckets: -1,
  /** L2 stands in another epoch. */
  epoch: -2,
  /** The batch was resolved with another set of shapes. */
  shapes: -3,
  /** L2's tidemark lies before what the batch follows. */
  behind: -4,
} as const

/** What is answered for one entry. */
export const Verdict = {
  /** Of a fill: stored. Of a read: there is none. */
  none: 0,
  /** Of another generation, or a change made it stale. */
  void: 1,
  unreadable: 2,
  /** The entry there has a later position. */
  newer: 3,
  /** A shape is not registered, and the fill did not say what it is. */
  unknownShape: 4,
  /** There are as many shapes as there may be. */
  shapesMax: 5,
  /** Redis refused to write: out of memory, a replica. */
  unwritable: 6,
} as const

/** Added to the verdict of a read that found nothing and asked for the lease: the asker has it, or another. */
export const Leased = { given: 16, held: 32 } as const

/** Lua that every script begins with. */
export const PRELUDE = `
local S, Z = KEYS[1], KEYS[2]
local function text(n) return string.format('%.0f', n) end
local function state()
  local s = redis.pcall('HMGET', S, 'g', 'e', 'm', 'i', 'b', 'h', 'p', 'l', 'x')
  if s.err or not (s[1] and s[2] and s[3] and s[4] and s[5] and s[8]) then return nil end
  local mark = redis.pcall('ZSCORE', Z, s[1])
  if not mark or type(mark) == 'table' then return nil end
  return {g = s[1], e = s[2], m = tonumber(s[3]), i = s[4], b = s[5], h = tonumber(s[6] or '0'), p = tonumber(s[7] or '0'), l = tonumber(s[8]), x = tonumber(s[9] or '0')}
end
`

/** Lua for the scripts that judge entries. */
export const JUDGE = `
-- The lease lies beside the entry, under the same hash tag.
local function leaseOf(key) return string.sub(S, 1, -2) .. 'l' .. string.sub(key, #S) end
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
-- The highest since of the shapes in 'v' before 'to'; false if one of them is not registered. Most entries of a call have the same.
local sinces = {}
local function since(v, from, to)
  local section = string.sub(v, from, to - 1)
  local known = sinces[section]
  if known ~= nil then return known end
  known = 0
  for at = 1, #section, ${SHAPE_BYTES * 500} do
    local names = {}
    for each = at, math.min(#section, at + ${SHAPE_BYTES * 500 - 1}), ${SHAPE_BYTES} do
      names[#names + 1] = 's' .. string.sub(section, each, each + ${SHAPE_BYTES - 1})
    end
    for _, position in ipairs(redis.call('HMGET', S, unpack(names))) do
      if not position then known = false break end
      known = math.max(known, tonumber(position))
    end
    if not known then break end
  end
  sinces[section] = known
  return known
end
-- Compares the dependencies of many entries with their stamps, some hundred at once.
local names, owners, positions, touched, asked = {}, {}, {}, {}, 0
local function compare()
  if asked == 0 then return end
  local found = redis.call('ZMSCORE', Z, unpack(names, 1, asked))
  for j = 1, asked do
    if found[j] and tonumber(found[j]) > positions[owners[j]] then touched[owners[j]] = true end
  end
  asked = 0
end
-- To be called for each; what 'compare' finds after the last is in 'touched', by 'owner'.
local function ask(owner, p, v, from, to, isExpiry)
  positions[owner] = p
  for at = from, to - 1, ${DEPENDENCY_BYTES} do
    local name = string.sub(v, at, at + ${DEPENDENCY_BYTES - 1})
    if isExpiry then
      local last = string.byte(name, ${DEPENDENCY_BYTES})
      name = string.sub(name, 1, ${DEPENDENCY_BYTES - 1}) .. string.char((last + ${EXPIRY_BIT}) % 256)
    end
    asked = asked + 1
    names[asked], owners[asked] = name, owner
    if asked == 500 then compare() end
  end
end
`
