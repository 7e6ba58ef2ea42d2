import { randomUUID } from 'node:crypto'
import { onAbort } from '../abort.js'
import { ClosedError, OptionError } from '../errors.js'
import type { By } from '../log/by.js'
import type { Commit, Mode, Target } from '../log/change.js'
import type { Follower } from './follower.js'

interface Pending {
  isAppended: boolean
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
  #isClosed = false

  constructor(follower: Follower) {
    this.#follower = follower
  }

  async request({ targets, mode, by }: Asked, signal: AbortSignal | undefined): Promise<string> {
    if (targets.length === 0) throw new OptionError('invalidate() names nothing. Name keys, tags, a pattern, or all.')
    signal?.throwIfAborted()
    if (this.#isClosed) throw new ClosedError('The cache was closed. Create a new one, or invalidate before close().')
    const nonce = randomUUID()
    let pending!: Pending
    const applied = new Promise<string>((resolve, reject) => {
      pending = { isAppended: false, ended: new AbortController(), resolve, reject }
    })
    applied.catch(() => undefined)
    this.#pending.set(nonce, pending)
    const unlisten = onAbort(signal, () => pending.reject(signal?.reason))
    try {
      const { generation } = this.#follower
      await this.#follower.log.append({ kind: 'target', targets, mode, nonce, ...(by && { by }) })
      pending.isAppended = true
      if (generation !== this.#follower.generation) void this.#catchUp(pending)
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

  /** The log was taken up anew. */
  started(): void {
    for (const pending of this.#pending.values()) if (pending.isAppended) void this.#catchUp(pending)
  }

  /** The record may lie before the new start, which emptied L1 and will not deliver it; or after it. */
  async #catchUp(pending: Pending): Promise<void> {
    if (await this.#follower.caughtUp(pending.ended.signal)) pending.resolve(this.#follower.position ?? '')
  }

  close(): void {
    this.#isClosed = true
    const error = new ClosedError(
      'The cache was closed before this invalidation was applied here. It may be in the log all the same.',
    )
    for (const pending of this.#pending.values()) pending.reject(error)
  }
}
