// What entries take: `node --expose-gc memory.js <holder> <scale>`. Prints {"bytes": heap + external per entry}, beside keys
// and values, which were there before.
import { holders } from './contenders.js'
import { usedBytes } from './measure.js'
import { keysOf, scales, valuesOf } from './workload.js'

const [name, scale] = process.argv.slice(2)
const { memoryEntries } = scales[scale]
const keys = keysOf(memoryEntries)
const values = valuesOf(memoryEntries)
// What a library takes for itself, and for its code, is no entry's.
await holders[name](keysOf(100), valuesOf(100))
const before = await usedBytes()
const holder = await holders[name](keys, values)
const bytes = ((await usedBytes()) - before) / memoryEntries
console.log(JSON.stringify({ bytes }))
// All of it must live up to here.
process.exit(keys.length + values.length === 2 * memoryEntries && holder ? 0 : 1)
