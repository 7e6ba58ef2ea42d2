import { expect, test } from 'vitest'
import type { Commit } from '../log/change.js'
import type { LogListener } from '../log/log.js'
import { FakeLog, ManualClock } from '../testing/index.js'
import { RelayingLog } from './leader.js'
import type { RelayRecord } from './record.js'

const silent: LogListener = { started() {}, commit() {}, progress() {}, lost() {}, resumed() {} }

test('a commit that is delivered twice is relayed once, and no record says that nothing lies where something does', async () => {
  const log = new FakeLog()
  const clock = new ManualClock()
  const sent: RelayRecord[] = []
  const sink = {
    problem: undefined,
    writtenTo: 0,
    restarted() {},
    send: (records: readonly RelayRecord[]) => void sent.push(...records),
    close: async () => {},
  }
  const relaying = new RelayingLog(log, () => true, sink, clock)
  const heard: Commit[] = []
  relaying.follow({ ...silent, commit: (commit) => void heard.push(commit) })
  const begin = log.end
  const [first, second] = [log.write([]), log.write([])]
  log.repeat(first)
  log.keepalive()
  const third = log.write([])
  await clock.advance(2_000)
  const commits = sent.filter(({ commit }) => commit).map(({ from, to }) => [from, to])
  expect(commits).toEqual([
    [begin, first.lsn],
    [first.lsn, second.lsn],
    [second.lsn, third.lsn],
  ])
  expect(sent.every(({ from, to }, i) => from <= to && from === (sent[i - 1]?.to ?? begin))).toBe(true)
  // What it does with it is the listener's.
  expect(heard).toHaveLength(4)
  await relaying.close()
})
