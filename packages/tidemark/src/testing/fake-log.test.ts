import { describe, test } from 'vitest'
import type { RowChange } from '../log/change.js'
import { logContract } from './contract.js'
import { FakeLog } from './fake-log.js'

logContract({ describe, test }, 'FakeLog', async () => {
  const log = new FakeLog()
  return {
    log,
    write: async (marks) => void log.write(marks.map(inserted)),
    async lose() {
      log.lose()
      queueMicrotask(() => log.start())
    },
    close: async () => undefined,
  }
})

function inserted(mark: string): RowChange {
  return { kind: 'row', op: 'insert', table: 'public.marks', old: null, new: { mark } }
}
