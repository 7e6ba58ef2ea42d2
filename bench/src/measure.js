import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** A median of few figures is no worse a guess than any, and no outlier moves it. */
export function median(figures) {
  return quantile(figures, 0.5)
}

export function quantile(figures, q) {
  const sorted = [...figures].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]
}

/** Runs `file` of this folder in a process of its own and resolves with the JSON that it prints last. */
export async function runAlone(file, args, nodeOptions = []) {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const child = spawn(process.execPath, [...nodeOptions, path, ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} failed (${code}).`)
  return JSON.parse(output.trim().split('\n').at(-1))
}

/**
 * Measures each contender in `rounds` rounds, one after the other, so that what else the machine does hits all of them.
 *
 * @returns contender → median of its rounds, as `pick` reads them from what the process printed
 */
export async function alternate(contenders, rounds, measureOne, pick) {
  const figures = new Map(contenders.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of contenders) figures.get(name).push(pick(await measureOne(name)))
  }
  return new Map([...figures].map(([name, all]) => [name, median(all)]))
}

/** Bytes of heap and external memory that live, in a process with `--expose-gc`. */
export async function usedBytes() {
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    globalThis.gc()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
