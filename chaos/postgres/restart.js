import { now } from '../clock.js'

const setup = () => ({})

/** Restarts the server and measures how long until every process is current again. */
function restarted(title, how) {
  return {
    title,
    staleMs: 5_000,
    setup,
    async run(load, report) {
      const { server } = load
      await how(server)
      const upAt = now()
      await load.recovered()
      report.goal('current in every process, from when the server was up again, ms', now() - upAt, 10_000)
      await lagIsBack(load, report, upAt)
    },
  }
}

async function lagIsBack(load, report, upAt) {
  await load.until(
    () => load.alive.every(({ status }) => status.at > upAt && status.current && status.silenceMs < 1_000),
    'lag below 1 s',
  )
  report.goal('lag below 1 s again, ms', now() - upAt, 10_000)
}

export const restartFast = restarted('F11: the server is restarted (fast)', (server) => server.restart())

export const restartImmediate = restarted('F11: the server is killed and restarted (immediate)', async (server) => {
  server.kill()
  await server.restart()
})
