import assert from 'node:assert/strict'
import { covers, isVisible } from '../follow/visible.js'
import type { Commit, TargetChange } from '../log/change.js'
import type { Log, LogListener, LogStart } from '../log/log.js'

/** A log, and what its test can do to it. */
export interface LogUnderTest {
  readonly log: Log
  /** Commits at the source by ordinary means, where the log follows one. */
  readonly commit?: () => Promise<void>
  /** Cuts the line to the source, where there is one: the log takes itself up anew. */
  readonly cut?: () => Promise<void>
  /** Cleans up; the log may be closed already. */
  close(): Promise<void>
}

export interface ContractCase {
  readonly name: string
  run(): Promise<void>
}

const WAIT_MS = 30_000
const LOOK_MS = 5
const TENANT = 'contract'

/**
 * What every log must do, as cases for any test runner:
 *
 * ```ts
 * for (const { name, run } of logContract(open)) test(name, run)
 * ```
 *
 * Cases that need `commit` or `cut` end at once where the log has none.
 *
 * @param open  opens a log that nobody follows yet, anew for each case
 * @param waitMs  how long a case waits for anything. Default 30,000
 */
export function logContract(open: () => Promise<LogUnderTest>, waitMs = WAIT_MS): ContractCase[] {
  return Object.entries(cases).map(([name, check]) => ({
    name,
    async run() {
      const tested = await open()
      const heard = new Heard(waitMs)
      try {
        tested.log.follow(heard)
        await heard.until(() => heard.starts.length > 0, 'started')
        await check(tested, heard)
        heard.isInOrder()
      } finally {
        await tested.log.close()
        await tested.close()
      }
    },
  }))
}

const cases: Record<string, (tested: LogUnderTest, heard: Heard) => Promise<void>> = {
  async 'says where it takes up the log, once, before anything else'(_, heard) {
    assert.equal(heard.starts.length, 1)
    const { epoch, lsn } = heard.starts[0]!
    assert.match(epoch, /^[A-Za-z0-9._-]{1,128}$/)
    assert.ok(Number.isSafeInteger(lsn) && lsn >= 0)
  },

  async 'delivers what is appended, each request once and whole, as it was asked'({ log }, heard) {
    const changes = Array.from({ length: 20 }, (_, i) => ({
      ...request(`n${i}`, i % 2 === 0 ? 'drop' : 'expire'),
      ...(i % 3 === 0
        ? {}
        : { by: { actor: `ü "${i}" 😀`, requestId: `req-${i}`, ...(i % 3 === 1 ? {} : { cause: '{}' }) } }),
    }))
    await Promise.all(changes.map((change) => log.append(change)))
    await heard.until(() => heard.requests.length >= changes.length, 'delivered')
    const byNonce = new Map(heard.requests.map((change) => [change.nonce, change]))
    assert.equal(heard.requests.length, changes.length)
    for (const change of changes) assert.deepEqual(byNonce.get(change.nonce), change)
  },

  async 'delivers appends of one caller in their order'({ log }, heard) {
    for (let i = 0; i < 10; i++) await log.append(request(`n${i}`))
    await heard.until(() => heard.requests.length >= 10, 'delivered')
    assert.deepEqual(
      heard.requests.map(({ nonce }) => nonce),
      Array.from({ length: 10 }, (_, i) => `n${i}`),
    )
  },

  async 'a probe after an append says a flushed end that the log then reaches'({ log }, heard) {
    await log.append(request('a'))
    const { flushed } = await log.probe()
    await heard.until(() => {
      log.nudge()
      return heard.reached >= flushed
    }, 'reached')
    assert.deepEqual(
      heard.requests.map(({ nonce }) => nonce),
      ['a'],
    )
  },

  async 'reaches its flushed end though nothing is appended'({ log }, heard) {
    const { flushed } = await log.probe()
    await heard.until(() => {
      log.nudge()
      return heard.reached >= flushed
    }, 'reached')
  },

  async 'all before the start, and every commit, is seen by a later snapshot'({ log }, heard) {
    await log.append(request('a'))
    await heard.until(() => heard.commits.length > 0, 'delivered')
    const { proof } = heard.starts[0]!
    const { lsn, xid } = heard.commits[0]!
    await heard.until(async () => {
      const { snapshot, flushed } = await log.probe()
      assert.ok(flushed >= lsn, 'what was delivered was flushed before')
      if (snapshot === undefined) return proof.kind === 'visible' && xid === undefined
      const isStartSeen =
        proof.kind === 'visible' ||
        (proof.kind === 'snapshot' ? covers(snapshot, proof.snapshot) : snapshot.xmin > proof.xid)
      return isStartSeen && (xid === undefined || isVisible(xid, snapshot))
    }, 'seen')
  },

  async 'says when a position can be seen, and gives up on one that cannot when it is told to'({ log }, heard) {
    await log.append(request('a'))
    await heard.until(() => heard.commits.length > 0, 'delivered')
    const { lsn } = heard.commits[0]!
    const { epoch } = heard.starts[0]!
    const bound = AbortSignal.timeout(WAIT_MS)
    assert.equal(await log.visible({ epoch, lsn, xid: undefined }, bound), true)
    const far = { epoch, lsn: lsn + 2 ** 40, xid: undefined }
    assert.equal(await log.visible(far, AbortSignal.timeout(50)).catch(() => false), false)
  },

  async 'delivers what others commit at the source'({ commit }, heard) {
    if (!commit) return
    await commit()
    await heard.until(
      () => heard.commits.some(({ changes }) => changes.some(({ kind }) => kind === 'row')),
      'delivered',
    )
  },

  async 'says that it was cut off, takes itself up at no earlier place, and goes on'({ log, cut }, heard) {
    if (!cut) return
    // Whatever it says that it resumes, it must not have missed.
    await log.append(request('before'))
    await heard.until(() => heard.requests.length === 1, 'delivered')
    await cut()
    await heard.until(() => heard.losses > 0 && heard.starts.length + heard.resumes > 1, 'lost and taken up')
    if (heard.starts.length > 1) assert.ok(heard.starts[1]!.lsn >= heard.commits[0]!.lsn)
    await log.append(request('after'))
    await heard.until(() => heard.requests.some(({ nonce }) => nonce === 'after'), 'delivered')
    assert.equal(heard.requests.length, 2)
  },

  async 'misses nothing that was appended while it was cut off, if it says that it resumes'({ log, cut }, heard) {
    if (!cut) return
    await log.append(request('before'))
    await heard.until(() => heard.requests.length === 1, 'delivered')
    const isCut = cut()
    const changes = Array.from({ length: 10 }, (_, i) => request(`while ${i}`))
    for (const change of changes) await log.append(change).catch(() => undefined)
    await isCut
    await heard.until(() => heard.losses > 0 && heard.starts.length + heard.resumes > 1, 'lost and taken up')
    const { flushed } = await log.probe()
    await heard.until(() => {
      log.nudge()
      return heard.reached >= flushed
    }, 'reached')
    // A start says that what lies before it is not delivered; a resumption that all of it is, once.
    if (heard.starts.length === 1)
      assert.deepEqual(
        heard.requests.map(({ nonce }) => nonce),
        ['before', ...changes.map(({ nonce }) => nonce)],
      )
  },

  async 'says what it does: followed or off while it runs, closed afterwards'({ log }) {
    const { state, reason } = log.status()
    assert.ok(state === 'following' || (state === 'off' && log.isLocal === true), state)
    if (state !== 'following') assert.notEqual(reason, '')
    await log.close()
    assert.equal(log.status().state, 'closed')
  },

  async 'delivers nothing once it is closed, and can be closed again'({ log }, heard) {
    await log.close()
    heard.isClosed = true
    await log.append(request('late')).catch(() => undefined)
    await log.close()
  },
}

function request(nonce: string, mode: TargetChange['mode'] = 'drop'): TargetChange {
  const targets = [
    { kind: 'key', tenant: TENANT, key: `k(${nonce})` },
    { kind: 'tag', tenant: TENANT, tag: `"t" \u00fc \n ${nonce}` },
    { kind: 'pattern', tenant: TENANT, syntax: 'glob', pattern: `*\\"\u00fc ${nonce}` },
    { kind: 'pattern', tenant: TENANT, syntax: 'regex', pattern: `^${nonce}\\d+$` },
    { kind: 'tenant', tenant: TENANT },
    { kind: 'everything' },
  ] as const
  return { kind: 'target', targets, mode, nonce }
}

function isOurs({ targets: [first] }: TargetChange): boolean {
  return first?.kind === 'key' && first.tenant === TENANT
}

/** What the log told its follower, and whether it was in order. */
class Heard implements LogListener {
  readonly starts: LogStart[] = []
  readonly commits: Commit[] = []
  readonly requests: TargetChange[] = []
  readonly #faults: string[] = []
  readonly #waitMs: number
  reached = -1
  losses = 0
  resumes = 0
  isClosed = false
  #last: number | undefined
  #progress = -1

  constructor(waitMs: number) {
    this.#waitMs = waitMs
  }

  started(start: LogStart): void {
    this.#mustBeOpen('started')
    this.starts.push(start)
    this.reached = start.lsn
    this.#last = undefined
    this.#progress = -1
  }

  commit(commit: Commit): void {
    this.#mustBeOpen('commit')
    if (commit.lsn <= this.reached) this.#faults.push(`a commit at ${commit.lsn}, after ${this.reached}`)
    if (commit.prev !== undefined && this.#last !== undefined && commit.prev !== this.#last)
      this.#faults.push(`a commit that follows ${commit.prev}, after ${this.#last}`)
    this.#last = commit.lsn
    this.reached = commit.lsn
    this.commits.push(commit)
    for (const change of commit.changes) if (change.kind === 'target' && isOurs(change)) this.requests.push(change)
  }

  progress(lsn: number): void {
    this.#mustBeOpen('progress')
    if (lsn < this.#progress) this.#faults.push(`progress went back from ${this.#progress} to ${lsn}`)
    this.#progress = lsn
    if (lsn > this.reached) this.reached = lsn
  }

  lost(): void {
    this.#mustBeOpen('lost')
    this.losses++
  }

  resumed(): void {
    this.#mustBeOpen('resumed')
    if (this.losses === 0) this.#faults.push('resumed before lost')
    this.resumes++
  }

  async until(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const end = Date.now() + this.#waitMs
    while (!(await isTrue())) {
      assert.ok(Date.now() < end, `not ${what} within ${this.#waitMs} ms`)
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }

  isInOrder(): void {
    assert.deepEqual(this.#faults, [])
  }

  #mustBeOpen(call: string): void {
    if (this.isClosed) this.#faults.push(`${call} after close`)
    if (call !== 'started' && this.starts.length === 0) this.#faults.push(`${call} before started`)
  }
}
