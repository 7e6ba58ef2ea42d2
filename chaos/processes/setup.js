/** Three processes that share a Redis: one reads the log and relays it; one keeps next to nothing, so that it lives on what L2 has. */
export const shared = ({ isSmoke }) => ({
  redis: { hasRelay: true },
  maxSilence: maxSilenceMs({ isSmoke }),
})

export const maxSilenceMs = ({ isSmoke }) => (isSmoke ? 2_000 : 5_000)

/** Within this all is again as it was. In short it is run on machines that do other things too. */
export const recoverMs = ({ isSmoke }) => (isSmoke ? 15_000 : 5_000)
