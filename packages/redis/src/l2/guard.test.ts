import { ManualClock } from 'tidemark/testing'
import { beforeEach, expect, test } from 'vitest'
import { L2DownError, type L2DownReason } from './errors.js'
import { Guard } from './guard.js'

let clock: ManualClock
let failed: L2DownReason[]
let isReady: boolean
let sent: number
let guard: Guard

beforeEach(() => {
  clock = new ManualClock()
  failed = []
  isReady = true
  sent = 0
  guard = new Guard({
    clock,
    failuresMax: 3,
    pauseMs: 100,
    pauseMaxMs: 300,
    isReady: () => isReady,
    failed: (reason) => failed.push(reason),
  })
})

test('after failures one after the other nothing is sent for a while, and then one call at a time', async () => {
  for (let i = 0; i < 3; i++) expect(await reasonOf(fails())).toBe('error')
  expect(guard.isPaused).toBe(true)
  expect(await reasonOf(works())).toBe('paused')
  expect(sent).toBe(3)
  await clock.advance(100)
  const open = gate()
  const trying = reasonOf(guard.call(1_000, false, () => open.promise))
  expect(await reasonOf(works())).toBe('paused')
  open.resolve()
  expect(await trying).toBe('none')
  expect(await reasonOf(works())).toBe('none')
  expect(failed).toEqual(['error', 'error', 'error', 'paused', 'paused'])
})

test('failures with a success in between do not count together', async () => {
  for (let i = 0; i < 6; i++) {
    await reasonOf(fails())
    await reasonOf(fails())
    expect(await reasonOf(works())).toBe('none')
  }
})

test('each pause is twice as long as the one before, up to a limit; a success begins anew', async () => {
  for (let i = 0; i < 3; i++) await reasonOf(fails())
  for (const pauseMs of [100, 200, 300, 300]) {
    await clock.advance(pauseMs - 1)
    expect(await reasonOf(works())).toBe('paused')
    await clock.advance(1)
    expect(await reasonOf(fails())).toBe('error')
  }
  await clock.advance(300)
  expect(await reasonOf(works())).toBe('none')
  for (let i = 0; i < 3; i++) await reasonOf(fails())
  await clock.advance(100)
  expect(await reasonOf(works())).toBe('none')
})

test('what is urgent is sent though Redis is left alone, and ends the pause if it succeeds', async () => {
  for (let i = 0; i < 3; i++) await reasonOf(fails())
  expect(await reasonOf(guard.call(1_000, true, () => Promise.reject(new Error('x'))))).toBe('error')
  expect(await reasonOf(works())).toBe('paused')
  expect(await reasonOf(guard.call(1_000, true, async () => 1))).toBe('none')
  expect(await reasonOf(works())).toBe('none')
})

test('what takes longer than the deadline is given up, and nobody is told of its late answer', async () => {
  const late = gate()
  const waiting = reasonOf(guard.call(50, false, () => late.promise))
  await clock.advance(49)
  await clock.advance(1)
  expect(await waiting).toBe('deadline')
  late.reject(new Error('late'))
  await late.promise.catch(() => {})
})

test('without a connection nothing is sent, urgent or not', async () => {
  isReady = false
  expect([await reasonOf(works()), await reasonOf(guard.call(1, true, async () => 1))]).toEqual([
    'not-connected',
    'not-connected',
  ])
  expect(sent).toBe(0)
})

test('an error of Redis is told by its first word only: the rest may hold keys', async () => {
  const error = await guard.call(1_000, false, () => Promise.reject(new Error('OOM secret'))).catch((error) => error)
  expect(error).toBeInstanceOf(L2DownError)
  expect(error.message).toContain('OOM')
  expect(error.message).not.toContain('secret')
})

function fails(): Promise<unknown> {
  return guard.call(1_000, false, async () => {
    sent++
    throw new Error('ERR x')
  })
}

function works(): Promise<unknown> {
  return guard.call(1_000, false, async () => {
    sent++
  })
}

async function reasonOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'none'
  } catch (error) {
    return (error as L2DownError).reason
  }
}

function gate() {
  let resolve = (): void => {}
  let reject = (_: Error): void => {}
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
