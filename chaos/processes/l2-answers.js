import { now } from '../clock.js'

const hits = ({ counters }) => counters.l2Hits
const stored = ({ counters }) => counters.l2Stored

/** Waits until L2 answers, and takes what is loaded, as it does where nothing is wrong. Returns how long it took, in ms. */
export async function l2Answers(load, boundMs) {
  // What was counted before is known here by then.
  const from = now()
  await load.until(() => load.alive.every(({ status }) => status?.at > from), 'every process has reported')
  const before = { hits: load.sum(hits), stored: load.sum(stored) }
  const isBack = () => load.sum(hits) > before.hits && load.sum(stored) > before.stored
  return load.until(isBack, 'L2 answers, and takes what is loaded', boundMs)
}
