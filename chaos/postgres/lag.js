import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../clock.js'

const MAX_SILENCE_MS = 2_000
const SENDERS = "select pid from pg_stat_activity where backend_type = 'walsender'"

export const freeze = {
  title: 'F13: the walsenders are frozen',
  staleMs: 5_000,
  setup: () => ({ maxSilence: MAX_SILENCE_MS }),
  async run(load, report, { isSmoke }) {
    const frozenMs = isSmoke ? 4_000 : 30_000
    const at = now()
    try {
      // Those that come anew too, before they stream, so that nobody gets around it.
      await load.admin(async (client) => {
        while (now() - at < frozenMs) {
          for (const { pid } of (await client.query(SENDERS)).rows) load.freeze(pid)
          await sleep(5)
        }
      })
    } finally {
      load.thaw()
    }
    const until = at + frozenMs
    await load.recovered()
    report.figure('every process keeps again after it ended, ms', now() - until)
    // The first freeze is not at once for all: what was sent before it counts as heard.
    const seen = load.statuses.filter((status) => status.at > at + 1_000 && status.at < until)
    const off = Math.max(...seen.map(({ at: when, silenceMs }) => Math.abs(silenceMs - (when - at))))
    report.goal('lag as told differs from the lag, at most, ms', off, 1_000)
    let fresh = 0
    for (const { number } of load.nodes) {
      const from = at + MAX_SILENCE_MS + 1_000
      fresh += (await load.judge.ask({ do: 'freshIn', process: number, from, to: until })).result
    }
    report.goal('answers called fresh while nothing was known for maxSilence', fresh, 0)
  },
}
