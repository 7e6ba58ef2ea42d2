// A process that does to the file of an L2 what a test must not do itself, as it may not survive it.
import { dirname } from 'node:path'
import { open } from 'lmdb'
import { lmdbL2 } from '../src/index.js'

const { path, data, does } = JSON.parse(process.argv[2]!) as { path: string; data: string; does: string }
const say = (what: unknown) => process.send!(what)
process.on('unhandledRejection', (error) => say({ unhandled: String(error) }))

const entry = (value: unknown) => {
  const stamps = [{ shape: 'posts', name: '1' }]
  return { epoch: 'one', value, lsn: 10, dependencies: [], stamps, ageMs: 0, remainingMs: Number.POSITIVE_INFINITY }
}

switch (does) {
  case 'freeze with the lock': {
    const root = open(dirname(data), { noSubdir: false, maxDbs: 12, noSync: true, overlappingSync: false })
    root.transactionSync(() => {
      say('locked')
      process.kill(process.pid, 'SIGSTOP')
    })
    break
  }
  case 'read all': {
    const l2 = lmdbL2({ path })
    let found = 0
    let failed = 0
    for (let i = 0; i < 1_000; i++) {
      try {
        if ((await l2.read(`key${i}`)).entry) found++
      } catch {
        failed++
      }
    }
    const { unreadable, startedAnew } = l2.status()
    say({ found, failed, unreadable, startedAnew })
    await l2.close()
    process.disconnect()
    break
  }
  case 'go on': {
    const l2 = lmdbL2({ path })
    let m = 10
    for (;;) {
      await l2.invalidate({ epoch: 'one', prev: m, end: m + 1, shapes: undefined, marks: [], mayReset: true })
      m++
      await l2.fill('key', entry({ m }))
      say({ m, ...l2.status() })
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  case 'fill the disk': {
    const l2 = lmdbL2({ path })
    await l2.invalidate({ epoch: 'one', prev: 0, end: 10, shapes: undefined, marks: [], mayReset: false })
    await l2.fill('first', entry('here'))
    let stored = 0
    let code: unknown
    for (let i = 0; code === undefined && i < 2_000; i++) {
      await l2.fill(`key${i}`, entry(Buffer.alloc(50_000))).then(
        () => stored++,
        (error: unknown) => {
          code = (error as { code?: unknown }).code
        },
      )
    }
    const first = (await l2.read('first')).entry?.value
    const fails = await l2.fill('more', entry(1)).then(
      () => 'stored',
      (error: Error) => error.message,
    )
    say({ stored, code, first, fails, state: l2.status().state })
    await l2.close()
    process.disconnect()
  }
}
