/** Lets promises that are settled already run their followers: a few turns of the event loop, and no time on any clock. */
export async function rest(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Something that the test lets happen when it wants: await `passed` in a loader, and `open` (or `fail`) it later. */
export class Gate {
  readonly passed: Promise<void>
  open!: () => void
  fail!: (error: Error) => void

  constructor() {
    this.passed = new Promise((resolve, reject) => {
      this.open = resolve
      this.fail = reject
    })
    // Nobody may be waiting when it fails.
    this.passed.catch(() => undefined)
  }
}
