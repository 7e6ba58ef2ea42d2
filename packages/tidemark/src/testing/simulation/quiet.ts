/** Until the process can do nothing more by itself: a macrotask begins only when no promise is left to run. */
export function quiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** So many turns of promises, and no more: what the process does is stopped in the middle. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await undefined
}
