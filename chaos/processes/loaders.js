import { maxSilenceMs, shared } from './setup.js'

const CALLERS = 1_000

/** How many of these times overlap, at most. */
export function mostAtOnce(runs) {
  const edges = runs.flatMap(([start, end]) => [
    [start, 1],
    [end, -1],
  ])
  // Where one ends as another begins, it has ended.
  edges.sort(([a, up], [b, down]) => a - b || up - down)
  let most = 0
  let running = 0
  for (const [, step] of edges) {
    running += step
    most = Math.max(most, running)
  }
  return most
}

export const loaders = {
  title: 'F26: a loader throws, hangs, or answers after its time is over, and a thousand wait for it',
  staleMs: maxSilenceMs,
  setup: shared,
  isTogether: true,
  async run(load, report, { isSmoke }) {
    await load.rest()
    const crowd = async (key) => {
      const all = await load.askAll({ do: 'crowd', key, callers: Math.ceil(CALLERS / load.alive.length) })
      const sum = (of) => all.reduce((total, each) => total + of(each), 0)
      return {
        runs: all.flatMap(({ runs }) => runs),
        errors: sum(({ got }) => Object.entries(got).reduce((n, [what, count]) => n + (what in OK ? 0 : count), 0)),
        callers: sum(({ got }) => Object.values(got).reduce((a, b) => a + b, 0)),
        kept: sum(({ isKept }) => (isKept ? 1 : 0)),
        tookMs: Math.max(...all.map(({ tookMs }) => tookMs)),
      }
    }
    let key = 0
    for (let round = 0; round < (isSmoke ? 1 : 20); round++) {
      for (const loader of ['throws', 'hangs', 'late']) {
        key++
        load.trouble({ loader })
        const { runs, errors, callers, kept, tookMs } = await crowd(key)
        report.goal(`${loader}: callers that got an error, of ${callers}`, errors, callers, 'least')
        report.goal(`${loader}: processes that kept something`, kept, 0)
        report.goal(`${loader}: loader runs`, runs.length, load.alive.length)
        // One that goes on though its time is over can't be stopped; others load meanwhile.
        if (loader !== 'late') report.goal(`${loader}: loader runs at once`, mostAtOnce(runs), 1)
        report.figure(`${loader}: the last caller had its error after, ms`, tookMs)
        load.trouble()
        const after = await crowd(key)
        report.goal(`${loader}: errors once the loader works again`, after.errors, 0)
      }
    }
  },
}

const OK = { l1: true, l2: true, source: true, joined: true }
