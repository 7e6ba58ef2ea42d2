import { randomUUID } from 'node:crypto'
import type { Calls } from '@tidemark/redis'
import { type Cache, type CacheEvents, type Clock, parsePosition } from 'tidemark'
import { decodeCall, encodeCall } from './call.js'
import type { Cluster } from './cluster.js'

export interface AcknowledgementsOptions {
  readonly cluster: Pick<Cluster, 'id' | 'processes'>
  /** How processes reach each other; undefined: this one is alone. */
  readonly calls: Calls | undefined
  readonly cache: Cache
  readonly clock: Clock
  /** So long the others are waited for. */
  readonly waitMaxMs: number
}

/** A process that has applied a position. */
export interface Acknowledged {
  readonly process: string
  readonly address: string | null
  /** Entries that went from its memory; undefined where it does not know. */
  readonly removed: number | undefined
  /** Until this process knew of it, since it asked. */
  readonly ms: number
}

export interface Acknowledgements {
  readonly acknowledged: readonly Acknowledged[]
  /** Those that are there, and have not said so in time. */
  readonly silent: readonly { readonly process: string; readonly address: string | null }[]
}

interface Asking {
  readonly removed: Map<string, { readonly removed: number | undefined; readonly ms: number }>
  readonly at: number
  heard(): void
}

/** What so many requests did is remembered, for those who ask a moment later. */
const DONE_MAX = 1_000
/** Questions of others that wait here until their position is applied. */
const WAITING_MAX = 1_000
/** Who was out of reach for a moment is called again. */
const AGAIN_MS = 300

/**
 * Asks the other processes whether they have applied a position, and answers them. Nothing depends on it: a process that does not answer has
 * dropped what it had to, or says no answer fresh; only nobody knows which.
 */
export class Acknowledging {
  readonly #options: AcknowledgementsOptions
  readonly #done = new Map<string, number>()
  readonly #asking = new Map<string, Asking>()
  /** By who asks for what: called again it waits once. */
  readonly #waiting = new Map<string, { readonly position: string; readonly ask: string }>()
  readonly #leaves: (() => void)[] = []

  constructor(options: AcknowledgementsOptions) {
    this.#options = options
    const { calls, cache } = options
    if (!calls) return
    calls.listen((text) => this.#heard(text))
    this.#leaves.push(
      cache.on('applied', (event) => this.#applied(event)),
      cache.on('swept', ({ position, touched }) => {
        if (this.#done.has(position)) this.#done.set(position, touched)
      }),
      cache.on('started', () => this.#answerWaiting()),
    )
  }

  /** What the other processes say of a position, within `waitMaxMs`. Never rejects. */
  async of(position: string): Promise<Acknowledgements> {
    const { cluster, calls, clock, waitMaxMs } = this.#options
    const others = cluster.processes().filter(({ isSelf }) => !isSelf)
    const silent = others.map(({ id, address }) => ({ process: id, address }))
    // Those that share no Redis are listed, and can't be asked.
    if (!calls || others.length === 0) return { acknowledged: [], silent }
    const ask = randomUUID()
    const removed: Asking['removed'] = new Map()
    const isMissing = (): boolean => others.some(({ id }) => !removed.has(id))
    await new Promise<void>((resolve) => {
      const timers: { cancel(): void }[] = []
      const end = (): void => {
        for (const timer of timers) timer.cancel()
        resolve()
      }
      this.#asking.set(ask, { removed, at: clock.now(), heard: () => (isMissing() ? undefined : end()) })
      timers.push(clock.after(waitMaxMs, end))
      const call = (): void => {
        // Whoever can't be reached does not answer: that is told.
        calls.call(encodeCall({ kind: 'ask', ask, from: cluster.id, position })).catch(() => {})
        timers.push(clock.after(AGAIN_MS, call))
      }
      call()
    })
    this.#asking.delete(ask)
    const addressOf = new Map(cluster.processes().map(({ id, address }) => [id, address]))
    const named = (process: string) => ({ process, address: addressOf.get(process) ?? null })
    return {
      acknowledged: [...removed].map(([process, said]) => ({ ...named(process), ...said })),
      silent: others.filter(({ id }) => !removed.has(id)).map(({ id, address }) => ({ process: id, address })),
    }
  }

  close(): void {
    for (const leave of this.#leaves) leave()
    this.#options.calls?.close()
  }

  #heard(text: string): void {
    const call = decodeCall(text)
    if (!call || call.from === this.#options.cluster.id) return
    switch (call.kind) {
      case 'ask':
        if (this.#waiting.size >= WAITING_MAX)
          for (const oldest of this.#waiting.keys()) if (this.#waiting.delete(oldest)) break
        this.#waiting.set(call.ask, { position: call.position, ask: call.ask })
        return this.#answerWaiting()
      case 'applied': {
        const asking = this.#asking.get(call.ask)
        if (!asking || asking.removed.has(call.from)) return
        asking.removed.set(call.from, { removed: call.removed ?? undefined, ms: this.#options.clock.now() - asking.at })
        return asking.heard()
      }
      default:
        call satisfies never
    }
  }

  #applied({ position, touched, tenants, changes }: CacheEvents['applied']): void {
    if (tenants.length > 0 || 'everything: asked for' in changes) {
      if (this.#done.size >= DONE_MAX) for (const oldest of this.#done.keys()) if (this.#done.delete(oldest)) break
      this.#done.set(position, touched)
    }
    if (this.#waiting.size > 0) this.#answerWaiting()
  }

  /** Answers those whose position is applied by now. */
  #answerWaiting(): void {
    const { tidemark } = this.#options.cache.status()
    for (const [name, { position, ask }] of this.#waiting) {
      if (!hasReached(tidemark, position)) continue
      this.#waiting.delete(name)
      const removed = this.#done.get(position) ?? null
      const { calls, cluster } = this.#options
      calls?.call(encodeCall({ kind: 'applied', ask, from: cluster.id, removed })).catch(() => {})
    }
  }
}

/** Whether all up to a position is applied; false too where it can't be read, or is of another history. */
export function hasReached(tidemark: string | undefined, position: string): boolean {
  if (tidemark === undefined) return false
  try {
    const [here, asked] = [parsePosition(tidemark), parsePosition(position)]
    return here.epoch === asked.epoch && here.lsn >= asked.lsn
  } catch {
    return false
  }
}
