// What every contender gets: the same keys, values and order of reads.

/** How much is done: `full` is what docs/benchmarks.md shows; `smoke` only finds out whether everything runs. */
export const scales = {
  full: {
    entries: 100_000,
    reads: 500_000,
    awaits: 100_000,
    passes: 7,
    rounds: 5,
    memoryEntries: 1_000_000,
    changeEntries: [1e3, 1e5, 1e6],
    shapes: [10, 100, 1_000],
    commits: 300,
    rateSeconds: 10,
    bulk: [
      [100, 2_000],
      [1, 200_000],
    ],
    analyseRounds: 60,
    hotSeconds: 5,
    tierEntries: 60_000,
    tierKeys: 1_000_000,
    taggedEntries: 100_000,
    fileEntries: 20_000,
    missRounds: 20,
    cutSeconds: 60,
    journalRecords: 200_000,
    journalWaits: 4_000,
    trees: [
      [1, 1_000],
      [10, 1_000],
      [100, 1_000],
      [1_000, 1_000],
    ],
    treeEdits: 300,
    liveSubscribers: 10_000,
  },
  smoke: {
    entries: 1_000,
    reads: 5_000,
    awaits: 2_000,
    passes: 2,
    rounds: 1,
    memoryEntries: 10_000,
    changeEntries: [1e3, 1e4],
    shapes: [10, 100],
    commits: 20,
    rateSeconds: 0.5,
    bulk: [
      [4, 500],
      [1, 20_000],
    ],
    hotSeconds: 0.5,
    analyseRounds: 12,
    tierEntries: 600,
    tierKeys: 2_000,
    taggedEntries: 1_000,
    fileEntries: 200,
    missRounds: 2,
    cutSeconds: 1,
    journalRecords: 2_000,
    journalWaits: 60,
    trees: [[2, 200]],
    treeEdits: 5,
    liveSubscribers: 60,
  },
}

/** 20 characters each, as flat strings: what a program reads from a request or a row is one piece, not a concatenation. */
export function keysOf(count) {
  return Array.from({ length: count }, (_, i) =>
    Buffer.from(`user:profile:${String(i).padStart(7, '0')}`).toString('latin1'),
  )
}

export function valuesOf(count) {
  return Array.from({ length: count }, (_, id) => ({ id, name: `name ${id}` }))
}

/** Indexes of keys, zipf-distributed over all of them, in an order of popularity that has nothing to do with their order. */
export function zipf(count, reads, exponent = 0.99) {
  const random = randomOf(42)
  const sums = new Float64Array(count)
  let sum = 0
  for (let i = 0; i < count; i++) sums[i] = sum += 1 / (i + 1) ** exponent
  const byRank = shuffled(count, random)
  return Uint32Array.from({ length: reads }, () => byRank[rankOf(sums, random() * sum)])
}

/** The numbers below `count`, in a random order that is the same in each run. */
export function shuffled(count, random = randomOf(7)) {
  const numbers = Uint32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const number = numbers[i]
    numbers[i] = numbers[j]
    numbers[j] = number
  }
  return numbers
}

function rankOf(sums, at) {
  let low = 0
  let high = sums.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (sums[middle] < at) low = middle + 1
    else high = middle
  }
  return low
}

/** Mulberry32: each contender gets the same chance. */
function randomOf(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Calls `store` for each index in turn. */
export async function fill(count, store) {
  for (let i = 0; i < count; i++) {
    await store(i)
    // Microtasks alone would keep timers, and with them the log, from running.
    if (i % 1000 === 999) await new Promise((resolve) => setImmediate(resolve))
  }
}
