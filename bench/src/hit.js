// One contender's hits: `node hit.js peeks|awaits <contender> <scale>`. Prints {"ns": median of the passes},
// of processor time: what else runs on the machine does not count.
import { awaits, peeks } from './contenders.js'
import { median } from './measure.js'
import { keysOf, scales, valuesOf, zipf } from './workload.js'

const [kind, name, scale] = process.argv.slice(2)
const { entries, passes, ...counts } = scales[scale]
const reads = kind === 'peeks' ? counts.reads : counts.awaits
const values = valuesOf(entries)
const order = zipf(entries, reads)
const read = await { peeks, awaits }[kind][name](keysOf(entries), values)

for (const i of [0, 1, entries - 1]) {
  if ((await read(i))?.id !== i) throw new Error(`${name} does not answer with what was stored.`)
}

let sum = 0
const pass =
  kind === 'peeks'
    ? async () => {
        for (let i = 0; i < reads; i++) sum += read(order[i]).id
      }
    : async () => {
        for (let i = 0; i < reads; i++) sum += (await read(order[i])).id
      }

const figures = []
for (let i = 0; i <= passes; i++) {
  // A turn of the event loop between passes, for timers and what a followed log has to do.
  await new Promise((resolve) => setImmediate(resolve))
  const begin = process.cpuUsage()
  await pass()
  const { user, system } = process.cpuUsage(begin)
  // The first pass is for the compiler.
  if (i > 0) figures.push(((user + system) / reads) * 1000)
}
if (!(sum > 0)) throw new Error('Nothing was read.')
console.log(JSON.stringify({ ns: median(figures) }))
process.exit()
