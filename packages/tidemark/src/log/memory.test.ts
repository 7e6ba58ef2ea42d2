import { describe, test } from 'vitest'
import { logContract } from '../testing/contract.js'
import type { RowChange } from './change.js'
import { MemoryLog } from './memory.js'

logContract(
  { describe, test },
  'MemoryLog',
  async () => {
    const log = new MemoryLog()
    return { log, write: async (marks) => log.write(marks.map(inserted)), close: async () => undefined }
  },
  'it lives in the process, so there is no connection to lose',
)

function inserted(mark: string): RowChange {
  return { kind: 'row', op: 'insert', table: 'public.marks', old: null, new: { mark } }
}
