import { describe, test } from 'vitest'
import { l2Contract, MemoryL2 } from '../testing/index.js'

describe('the L2 in memory', () => {
  const open = async () => ({ l2: new MemoryL2(), close: async () => {} })
  for (const { name, run } of l2Contract(open)) test(name, run)
})
