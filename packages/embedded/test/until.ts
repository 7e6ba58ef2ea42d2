import { setTimeout as sleep } from 'node:timers/promises'

/** Waits for a condition; fails when it has not come true within the bound. */
export async function until(isSo: () => boolean | Promise<boolean>, boundMs = 30_000): Promise<void> {
  const end = performance.now() + boundMs
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`not so after ${boundMs} ms: ${isSo}`)
    await sleep(10)
  }
}
