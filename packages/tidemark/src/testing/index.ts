export { type FakeCommit, FakeLog } from './fake-log.js'
export { type FakeReads, FakeSource } from './fake-source.js'
export { ManualClock } from './manual-clock.js'
export { Gate, rest } from './rest.js'
