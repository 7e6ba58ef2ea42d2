/** Waits for a condition; what throws does not hold yet. Fails after 30 s. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 30_000
  while (
    !(await Promise.resolve()
      .then(holds)
      .catch(() => false))
  ) {
    if (Date.now() > end) throw new Error(`It did not come to be: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
