import { type L2Limits, l2Contract } from 'tidemark/testing'
import { describe, test } from 'vitest'
import { lmdbL2 } from '../src/index.js'
import { temporaryFolder } from './temporary-folder.js'

describe('the L2 in a file', () => {
  const open = async (limits: L2Limits) => {
    const folder = temporaryFolder()
    const l2 = lmdbL2({ path: folder.path, deadline: '20s', ...limits })
    return {
      l2,
      async close() {
        await l2.close()
        folder.remove()
      },
    }
  }
  for (const { name, run } of l2Contract(open)) test(name, run)
})
