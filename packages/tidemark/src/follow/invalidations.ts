import { randomUUID } from 'node:crypto'
import { ClosedError, OptionError } from '../errors.js'
import type { Commit, Mode, Target } from '../log/change.js'
import type { Follower } from './follower.js'

interface Pending {
  isAppended: boolean
  readonly resolve: (position: string) => void
  readonly reject: (error: unknown) => void
}

/** Requests to invalidate on their way through the log: each resolves when this process has applied it. */
export class Invalidations {
  readonly #follower: Follower
  readonly #pending = new Map<string, Pending>()

  constructor(follower: Follower) {
    this.#follower = follower
  }

  async request(targets: readonly Target[], mode: Mode, signal: AbortSignal | undefined): Promise<string> {
    if (targets.length === 0) throw new OptionError('invalidate() names no keys and no tags. Name at least one.')
    signal?.throwIfAborted()
    const nonce = randomUUID()
    let pending!: Pending
    const applied = new Promise<string>((resolve, reject) => {
      pending = { isAppended: false, resolve, reject }
    })
    applied.catch(() => undefined)
    this.#pending.set(nonce, pending)
    const abort = (): void => pending.reject(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    try {
      const { generation } = this.#follower
      await this.#follower.log.append({ kind: 'target', targets, mode, nonce })
      pending.isAppended = true
      // Taken up anew meanwhile: the record may lie before the new start, which emptied L1 and will not deliver it.
      if (generation !== this.#follower.generation && this.#pending.has(nonce)) {
        const caughtUp = this.#follower.caughtUp(signal ?? new AbortController().signal)
        return await Promise.race([applied, caughtUp.then(() => this.#follower.position ?? '')])
      }
      return await applied
    } finally {
      this.#pending.delete(nonce)
      signal?.removeEventListener('abort', abort)
    }
  }

  applied(commit: Commit): void {
    if (this.#pending.size === 0) return
    for (const change of commit.changes) {
      if (change.kind === 'target' && change.nonce !== undefined)
        this.#pending.get(change.nonce)?.resolve(this.#follower.positionAt(commit.lsn))
    }
  }

  /** Everything was emptied at this position: what had been appended before is done by that. */
  started(position: string): void {
    for (const pending of this.#pending.values()) if (pending.isAppended) pending.resolve(position)
  }

  close(): void {
    const error = new ClosedError(
      'The cache was closed before this invalidation was applied here. It may be in the log all the same.',
    )
    for (const pending of this.#pending.values()) pending.reject(error)
  }
}
