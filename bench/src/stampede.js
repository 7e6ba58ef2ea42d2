// A thousand reads of one missing key at once: `node stampede.js <contender>`. Prints {"loads": runs of the loader}.
import { stampedes } from './contenders.js'

const read = await stampedes[process.argv[2]]()
let loads = 0
const load = async () => {
  loads++
  await new Promise((resolve) => setTimeout(resolve, 50))
  return { loads }
}
await Promise.all(Array.from({ length: 1000 }, () => read(load)))
console.log(JSON.stringify({ loads }))
process.exit()
