import { randomUUID } from 'node:crypto'
import { onAbort } from '../abort.js'
import { ClosedError, OptionError } from '../errors.js'
import type { By } from '../log/by.js'
import type { Commit, Mode, Target, TargetChange } from '../log/change.js'
import type { Follower } from './follower.js'

interface Pending {
  readonly change: TargetChange
  /** In which generation it was appended last; undefined while it is on its way into the log. */
  appendedIn: number | undefined
  /** Aborted when nothing waits for it any more. */
  readonly ended: AbortController
  readonly resolve: (position: string) => void
  readonly reject: (error: unknown) => void
}

/** What is asked for, checked. */
export interface Asked {
  readonly targets: readonly Target[]
  readonly mode: Mode
  readonly by: By | undefined
}

/** Requests to invalidate on their way through the log: each resolves when this process has applied it. */
export class Invalidations {
  readonly #follower: Follower
  readonly #pending = new Map<string, Pending>()
  /** The last generation that began with nothing kept. */
  #emptiedIn = 0
  #isClosed = false

  constructor(follower: Follower) {
    this.#follower = follower
  }

  async request({ targets, mode, by }: Asked, signal: AbortSignal | undefined): Promise<string> {
    if (targets.length === 0) throw new OptionError('invalidate() names nothing. Name keys, tags, a pattern, or all.')
    signal?.throwIfAborted()
    if (this.#isClosed) throw new ClosedError('The cache was closed. Create a new one, or invalidate before close().')
    const nonce = randomUUID()
    const change: TargetChange = { kind: 'target', targets, mode, nonce, ...(by && { by }) }
    let pending!: Pending
    const applied = new Promise<string>((resolve, reject) => {
      pending = { change, appendedIn: undefined, ended: new AbortController(), resolve, reject }
    })
    applied.catch(() => undefined)
    this.#pending.set(nonce, pending)
    const unlisten = onAbort(signal, () => pending.reject(signal?.reason))
    try {
      await this.#append(pending)
      return await applied
    } finally {
      pending.ended.abort()
      this.#pending.delete(nonce)
      unlisten()
    }
  }

  applied(commit: Commit): void {
    if (this.#pending.size === 0) return
    for (const change of commit.changes) {
      if (change.kind === 'target' && change.nonce !== undefined)
        this.#pending.get(change.nonce)?.resolve(this.#follower.positionAt(commit.lsn))
    }
  }

  /** The log is being taken up anew, and nothing stays of what was kept. */
  emptied(): void {
    this.#emptiedIn = this.#follower.generation
  }

  /** The log was taken up anew. */
  started(): void {
    for (const pending of this.#pending.values()) if (pending.appendedIn !== undefined) void this.#catchUp(pending)
  }

  async #append(pending: Pending): Promise<void> {
    const { generation } = this.#follower
    pending.appendedIn = undefined
    await this.#follower.log.append(pending.change)
    pending.appendedIn = generation
    if (generation !== this.#follower.generation) void this.#catchUp(pending)
  }

  /** The record may lie before the new start, which will not deliver it; or after it; or nowhere any more. */
  async #catchUp(pending: Pending): Promise<void> {
    const { appendedIn } = pending
    if (!(await this.#follower.caughtUp(pending.ended.signal)) || pending.appendedIn !== appendedIn) return
    // All that it names is gone with the rest.
    if (appendedIn! < this.#emptiedIn) return pending.resolve(this.#follower.position ?? '')
    // Something was kept, and the record was not delivered: a restart of the source took it back.
    await this.#append(pending).catch(pending.reject)
  }

  close(): void {
    this.#isClosed = true
    const error = new ClosedError(
      'The cache was closed before this invalidation was applied here. It may be in the log all the same.',
    )
    for (const pending of this.#pending.values()) pending.reject(error)
  }
}
