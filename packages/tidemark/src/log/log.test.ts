import { describe, expect, test } from 'vitest'
import { FakeLog, logContract } from '../testing/index.js'
import type { LogListener } from './log.js'
import { MemoryLog } from './memory.js'

const closed = async (): Promise<void> => undefined

describe('the memory log', () => {
  for (const { name, run } of logContract(async () => ({ log: new MemoryLog(), close: closed }))) test(name, run)
})

describe('the fake log', () => {
  const open = async () => {
    const log = new FakeLog()
    const row = { kind: 'row', op: 'insert', table: 'public.posts', old: null, new: { id: '1' } } as const
    const commit = async (): Promise<void> => void log.write([row])
    const cut = async (): Promise<void> => {
      log.lose()
      log.start()
    }
    return { log, commit, cut, close: closed }
  }
  for (const { name, run } of logContract(open)) test(name, run)
})

describe('the contract', () => {
  const broken: Record<string, (log: FakeLog, listener: LogListener) => LogListener> = {
    'delivers twice': (_, listener) => ({
      ...bound(listener),
      commit(commit) {
        listener.commit(commit)
        listener.commit(commit)
      },
    }),
    'loses a record': (_, listener) => ({ ...bound(listener), commit: () => undefined }),
    'delivers in another order': (_, listener) => {
      let held: Parameters<LogListener['commit']>[0] | undefined
      return {
        ...bound(listener),
        commit(commit) {
          if (!held) held = commit
          else {
            listener.commit(commit)
            listener.commit(held)
            held = undefined
          }
        },
      }
    },
    'delivers before it starts': (log, listener) => ({
      ...bound(listener),
      started(start) {
        listener.commit({ lsn: log.end + 1, xid: undefined, committedAt: 0, changes: [] })
        listener.started(start)
      },
    }),
  }

  test.each(Object.keys(broken))('is not met by a log that %s', async (fault) => {
    class BrokenLog extends FakeLog {
      override follow(listener: LogListener): void {
        super.follow(broken[fault]!(this, listener))
      }
    }
    const results = await Promise.allSettled(
      logContract(async () => ({ log: new BrokenLog(), close: closed }), 200).map(({ run }) => run()),
    )
    expect(results.some(({ status }) => status === 'rejected')).toBe(true)
  })
})

function bound(listener: LogListener): LogListener {
  return {
    started: (start) => listener.started(start),
    commit: (commit) => listener.commit(commit),
    progress: (lsn) => listener.progress(lsn),
    lost: (reason) => listener.lost(reason),
    resumed: (resume) => listener.resumed(resume),
  }
}
