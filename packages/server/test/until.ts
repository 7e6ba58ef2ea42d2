/** Waits for a condition; fails after 45 s. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const bound = Date.now() + 45_000
  while (!(await condition())) {
    if (Date.now() > bound) throw new Error(`never came true: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
