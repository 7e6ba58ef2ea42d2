export { type FakeCommit, FakeLog } from './fake-log.js'
export { type FakeReads, FakeSource } from './fake-source.js'
