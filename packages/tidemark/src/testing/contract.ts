import assert from 'node:assert/strict'
import { createCache } from '../create.js'
import type { TidemarkError } from '../errors.js'
import { isVisible } from '../follow/visible.js'
import type { Change, Commit } from '../log/change.js'
import type { Log, LogListener, LogStart } from '../log/log.js'
import type { Source } from '../source.js'

/** A log under test, and what the suite must be able to do to it. */
export interface LogHarness {
  /** Not followed yet. */
  readonly log: Log
  /**
   * Commits one transaction that inserts a row for each mark, into a table that the log follows, with the mark in its column
   * `mark`. Resolves when it is durable; it may be delivered and visible later.
   */
  write(marks: readonly string[]): Promise<void>
  /** Breaks the connection to the log; the log takes itself up again. */
  lose?(): Promise<void>
  /** Gives back what the harness made. The log was closed before. */
  close(): Promise<void>
}

/** What the suite needs of a test runner, so that this package depends on none: vitest's `{ describe, test }` fit. */
export interface TestHooks {
  describe(name: string, body: () => void): unknown
  readonly test: {
    (name: string, body: () => Promise<void>, timeoutMs?: number): unknown
    skip(name: string, body: () => Promise<void>): unknown
  }
}

const BOUND_MS = 30_000

/**
 * What every log must do. Run it on each implementation, in a test file of its own package:
 *
 * ```ts
 * import { describe, test } from 'vitest'
 * import { logContract } from 'tidemark/testing'
 *
 * logContract({ describe, test }, 'WalLog', async () => {
 *   const database = await freshDatabase('create table marks (id serial primary key, mark text)')
 *   const log = new WalLog({ url: database.url, tables: ['public.marks'] })
 *   return {
 *     log,
 *     write: (marks) => database.transaction(marks.map((mark) => sql`insert into marks (mark) values (${mark})`)),
 *     lose: () => database.run('select pg_terminate_backend(active_pid) from pg_replication_slots where active'),
 *     close: () => database.drop(),
 *   }
 * })
 * ```
 *
 * Each test makes a harness of its own, and waits at most 30 s for anything.
 *
 * @param cannotBreak  why this log has no `lose`, if it has none: the skipped test says so
 */
export function logContract(
  { describe, test }: TestHooks,
  name: string,
  makeLog: () => Promise<LogHarness>,
  cannotBreak?: string,
): void {
  const check = (what: string, body: (harness: LogHarness, heard: Recorder) => Promise<void>): void => {
    test(
      what,
      async () => {
        const harness = await makeLog()
        const heard = new Recorder()
        try {
          await body(harness, heard)
          assert.deepEqual(heard.broken, [], 'what the listener was told must be consistent')
        } finally {
          await harness.log.close()
          await harness.close()
        }
      },
      4 * BOUND_MS,
    )
  }

  describe(`${name} as a log`, () => {
    check('starts before it delivers, once, and says that it follows', async ({ log, write }, heard) => {
      log.follow(heard)
      await until('started', () => heard.starts.length === 1)
      await write(['a'])
      await until('delivered', () => heard.marks.length === 1, log)
      assert.equal(heard.starts.length, 1)
      assert.ok(heard.starts[0]!.epoch.length > 0)
      assert.match(log.status().state, /^(following|off)$/)
    })

    check('delivers every transaction once, in order, as a whole', async ({ log, write }, heard) => {
      log.follow(heard)
      await until('started', () => heard.starts.length === 1)
      const written = [['a'], ['b', 'c', 'd'], ['e'], ['f', 'g'], ['h']]
      for (const marks of written) await write(marks)
      await until('delivered', () => heard.marks.length === 8, log)
      assert.deepEqual(heard.transactions, written)
    })

    check('reaches what a probe says is flushed, without a further change', async ({ log, write }, heard) => {
      log.follow(heard)
      await until('started', () => heard.starts.length === 1)
      await write(['a'])
      const { flushed } = await log.probe()
      await until('reached', () => heard.reached >= flushed, log)
      assert.deepEqual(heard.marks, ['a'])
    })

    check('is probed: what it delivered becomes visible, and is flushed', async ({ log, write }, heard) => {
      log.follow(heard)
      await until('started', () => heard.starts.length === 1)
      await write(['a'])
      await until('delivered', () => heard.marks.length === 1, log)
      const { lsn, xid } = heard.commits.findLast((commit) => commit.changes.length > 0)!
      await until('visible', async () => {
        const { snapshot, flushed } = await log.probe()
        assert.ok(flushed >= lsn, 'what was delivered was flushed before')
        return snapshot === undefined || xid === undefined || isVisible(xid, snapshot)
      })
    })

    check('delivers what was appended, with its nonce, after what came before', async ({ log, write }, heard) => {
      log.follow(heard)
      await until('started', () => heard.starts.length === 1)
      await write(['a'])
      const change = {
        kind: 'target',
        targets: [
          { kind: 'key', tenant: 't', key: 'post(1)' },
          { kind: 'tag', tenant: 'ü', tag: `a'b"c\\` },
        ],
        mode: 'expire',
        nonce: 'nonce-1',
      } as const
      await log.append(change)
      await until('delivered', () => heard.commits.some(isOf('nonce-1')), log)
      const at = heard.commits.findIndex(isOf('nonce-1'))
      assert.deepEqual(heard.commits[at]!.changes.find(isTarget), change)
      assert.ok(heard.commits.slice(0, at).some((commit) => marksOf(commit).includes('a')))
    })

    check('knows when what a position names can be seen, and when it cannot', async ({ log, write }, heard) => {
      log.follow(heard)
      await until('started', () => heard.starts.length === 1)
      await write(['a'])
      await until('delivered', () => heard.marks.length === 1, log)
      const position = { epoch: heard.starts[0]!.epoch, lsn: heard.reached, xid: undefined }
      assert.equal(await log.visible(position, AbortSignal.timeout(BOUND_MS)), true)
      const beyond = { ...position, lsn: position.lsn + 2 ** 40 }
      assert.equal(await log.visible(beyond, AbortSignal.timeout(200)), false)
    })

    check('ends with close: nothing is delivered or appended any more', async ({ log, write }, heard) => {
      log.follow(heard)
      await until('started', () => heard.starts.length === 1)
      await log.close()
      const before = heard.events
      await write(['late']).catch(() => undefined)
      await assert.rejects(log.append({ kind: 'target', targets: [], mode: 'drop' }))
      log.nudge()
      assert.equal(heard.events, before)
      assert.equal(log.status().state, 'closed')
      assert.notEqual(log.status().reason, '')
      await log.close()
    })

    check('is harmless when it repeats records: the follower applies each once', async ({ log, write }) => {
      const cache = createCache({ source: sourceOf(repeating(log)) })
      await cache.settled()
      const before = cache.counters.changes
      for (const marks of [['a'], ['b', 'c'], ['d']]) await write(marks)
      await cache.settled()
      assert.equal(cache.counters.changes - before, 4)
      await cache.close()
    })

    check('loses nothing unnoticed: a record whose predecessor never came empties L1', async ({ log, write }) => {
      const losing = losingFrom(log)
      const cache = createCache({ source: sourceOf(losing.log) })
      const starts: number[] = []
      cache.on('started', ({ emptied }) => starts.push(emptied))
      await cache.settled()
      await until('kept', async () => (await cache.ask('kept', () => 1, { static: true })).state === 'fresh')
      losing.isLosing = true
      await write(['lost'])
      await until('lost', () => losing.lost > 0, log)
      losing.isLosing = false
      const before = starts.length
      await write(['next'])
      await until('emptied', () => starts.length > before, log)
      assert.equal(starts.at(-1), 1)
      assert.equal(cache.peek('kept'), undefined)
      await until('kept again', async () => (await cache.ask('kept', () => 2, { static: true })).state === 'fresh')
      await cache.close()
    })

    const lost = 'says that it was lost, then starts anew where nothing is missing'
    if (cannotBreak !== undefined) test.skip(`${lost} (${cannotBreak})`, async () => undefined)
    else check(lost, startsAnew)
  })
}

async function startsAnew({ log, write, lose }: LogHarness, heard: Recorder): Promise<void> {
  assert.ok(lose, 'the harness must say how to break the log, or why that cannot be')
  log.follow(heard)
  await until('started', () => heard.starts.length === 1)
  await write(['a'])
  await until('delivered', () => heard.marks.length === 1, log)
  const { reached } = heard
  await lose()
  await until('lost', () => heard.lostReasons.length === 1)
  assert.match(heard.lostReasons[0]!.code, /^TIDEMARK_/)
  await until('started anew', () => heard.starts.length === 2)
  const [first, second] = heard.starts
  if (first!.epoch === second!.epoch) assert.ok(second!.lsn >= reached, 'it starts at or after what it had delivered')
  await write(['b'])
  await until('delivered again', () => heard.marks.includes('b'), log)
  assert.deepEqual(heard.marks, ['a', 'b'])
}

/** Writes down what a log tells, and where that contradicts itself. */
class Recorder implements LogListener {
  readonly starts: LogStart[] = []
  readonly commits: Commit[] = []
  readonly lostReasons: TidemarkError[] = []
  readonly broken: string[] = []
  /** How far all was delivered. */
  reached = Number.NEGATIVE_INFINITY
  /** How often it was told anything. */
  events = 0
  #isFollowing = false
  #before: number | undefined

  started(start: LogStart): void {
    this.events++
    this.starts.push(start)
    this.#isFollowing = true
    this.#before = start.lsn
    this.reached = start.lsn
  }

  commit(commit: Commit): void {
    this.events++
    if (!this.#isFollowing) this.broken.push(`commit ${commit.lsn} came while the log was not followed`)
    if (commit.lsn <= this.reached) this.broken.push(`commit ${commit.lsn} came after all up to ${this.reached} had`)
    if (commit.prev !== undefined && commit.prev !== this.#before)
      this.broken.push(`commit ${commit.lsn} names ${commit.prev} as its predecessor, which was ${this.#before}`)
    this.commits.push(commit)
    this.#before = commit.lsn
    this.reached = commit.lsn
  }

  progress(lsn: number): void {
    this.events++
    if (!this.#isFollowing) this.broken.push(`progress ${lsn} came while the log was not followed`)
    if (lsn < this.reached) this.broken.push(`progress went back from ${this.reached} to ${lsn}`)
    this.reached = Math.max(this.reached, lsn)
  }

  lost(reason: TidemarkError): void {
    this.events++
    this.#isFollowing = false
    this.lostReasons.push(reason)
  }

  /** The marks of each transaction that has any. */
  get transactions(): string[][] {
    return this.commits.map(marksOf).filter((marks) => marks.length > 0)
  }

  get marks(): string[] {
    return this.transactions.flat()
  }
}

function marksOf(commit: Commit): string[] {
  return commit.changes.flatMap((change) => (change.kind === 'row' ? [change.new?.mark ?? ''] : []))
}

function isTarget(change: Change): boolean {
  return change.kind === 'target'
}

function isOf(nonce: string): (commit: Commit) => boolean {
  return (commit) => commit.changes.some((change) => change.kind === 'target' && change.nonce === nonce)
}

/** The same log, each of whose records comes twice, and then the one before it again. */
function repeating(log: Log): Log {
  return through(log, (listener) => {
    let before: Commit | undefined
    return {
      commit(commit) {
        listener.commit(commit)
        listener.commit(commit)
        if (before) listener.commit(before)
        before = commit
      },
    }
  })
}

interface Losing {
  readonly log: Log
  isLosing: boolean
  lost: number
}

/** The same log, whose records name their predecessors, and some of which are lost on the way. */
function losingFrom(log: Log): Losing {
  const losing: Losing = {
    isLosing: false,
    lost: 0,
    log: through(log, (listener) => {
      let before = 0
      return {
        started(start) {
          before = start.lsn
          listener.started(start)
        },
        commit(commit) {
          const prev = before
          before = commit.lsn
          if (losing.isLosing) losing.lost++
          else listener.commit({ ...commit, prev })
        },
        progress(lsn) {
          // It would say that what was lost had come.
          if (losing.lost === 0) listener.progress(lsn)
        },
      }
    }),
  }
  return losing
}

function through(log: Log, heard: (listener: LogListener) => Partial<LogListener>): Log {
  return {
    ...(log.isLocal === undefined ? {} : { isLocal: log.isLocal }),
    follow: (listener) =>
      log.follow({
        started: (start) => listener.started(start),
        commit: (commit) => listener.commit(commit),
        progress: (lsn) => listener.progress(lsn),
        lost: (reason) => listener.lost(reason),
        ...heard(listener),
      }),
    probe: () => log.probe(),
    nudge: () => log.nudge(),
    append: (change) => log.append(change),
    visible: (position, signal) => log.visible(position, signal),
    status: () => log.status(),
    close: () => log.close(),
  }
}

let sources = 0

function sourceOf(log: Log): Source {
  return { id: `contract-${++sources}`, context: () => ({}), openLog: () => log, close: async () => undefined }
}

/** Asks again until it is so, for at most 30 s; nudges the log meanwhile. */
async function until(what: string, isSo: () => boolean | Promise<boolean>, log?: Log): Promise<void> {
  for (const end = performance.now() + BOUND_MS; !(await isSo()); ) {
    assert.ok(performance.now() < end, `within ${BOUND_MS / 1_000} s it was not ${what}`)
    log?.nudge()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
