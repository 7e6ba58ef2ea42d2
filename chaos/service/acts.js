// The side of a process that a `Child` speaks to: it does what it is asked by name, and answers with what came of it.

/** @param acts  by name; each gets what it was asked with, and returns the fields of the answer. After `stop` the process ends. */
export function answerWith(acts) {
  process.on('message', async ({ id, do: name, ...asked }) => {
    try {
      process.send({ kind: 'answer', id, ...(await acts[name](asked)) })
    } catch (error) {
      process.send({ kind: 'answer', id, error: error.message })
    }
    if (name === 'stop') process.exit(0)
  })
  process.send({ kind: 'ready' })
}
