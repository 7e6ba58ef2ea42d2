import { describe, test } from 'vitest'
import { type L2Limits, l2Contract, MemoryL2 } from '../testing/index.js'

describe('the L2 in memory', () => {
  const open = async (limits: L2Limits) => ({ l2: new MemoryL2(limits), close: async () => {} })
  for (const { name, run } of l2Contract(open)) test(name, run)
})
