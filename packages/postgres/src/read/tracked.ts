/** The clients of `pg` whose queries are gathered into fills: those of ours, and those that were wrapped. */
export const trackedClients = new WeakSet<object>()
