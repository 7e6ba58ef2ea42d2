// How clients of a server, in a process of their own, are told what to follow, and tell what they see.

/**
 * Told [{ index, path }], has `follow` open each of what `partsOf` makes of them, so many at once, and tells "open" when all have their first
 * value. Ends with the process that began it.
 *
 * @returns how to tell of a value: from "open" on, { index, at, data }; `at` in ms since 1970
 */
export function toldWhatToFollow({ atOnce, partsOf, follow }) {
  let isOpen = false
  process.on('message', async (paths) => {
    const waiting = partsOf(paths)
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        for (let next = waiting.pop(); next; next = waiting.pop()) await follow(next)
      }),
    )
    isOpen = true
    process.send('open')
  })
  process.on('disconnect', () => process.exit())
  return (index, at, data) => {
    if (isOpen) process.send({ index, at, data })
  }
}
