import { setTimeout as sleep } from 'node:timers/promises'
import { type Embedded, startEmbedded } from '@tidemark/embedded'

const RETRY_MIN_MS = 250
const RETRY_MAX_MS = 10_000

/**
 * The private PostgreSQL of a server that was given no other: started again, under the same address, if it ends without
 * having been asked to (killed, out of memory).
 */
export class OwnDatabase {
  readonly #embedded: Embedded
  readonly #stopped = new AbortController()
  #reviving: Promise<void> | undefined

  private constructor(embedded: Embedded) {
    this.#embedded = embedded
  }

  /** @throws what `startEmbedded` throws */
  static async start(dataDir: string): Promise<OwnDatabase> {
    // It may end before it is ours; then it is revived as soon as it is.
    let revive = () => {
      hasEnded = true
    }
    let hasEnded = false
    const database = new OwnDatabase(await startEmbedded({ dataDir, onExit: () => revive() }))
    revive = () => database.#revive()
    if (hasEnded) database.#revive()
    return database
  }

  get url(): string {
    return this.#embedded.url
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#reviving
    await this.#embedded.stop()
  }

  #revive(): void {
    const { signal } = this.#stopped
    if (signal.aborted) return
    this.#reviving ??= this.#tryAgain(signal).finally(() => {
      this.#reviving = undefined
    })
  }

  async #tryAgain(signal: AbortSignal): Promise<void> {
    for (let delayMs = RETRY_MIN_MS; !signal.aborted; delayMs = Math.min(delayMs * 2, RETRY_MAX_MS)) {
      const isBack = await this.#embedded.restart().then(
        () => true,
        () => false, // what hinders it may pass (a full disk); /health says that the database is down
      )
      if (isBack) return
      await sleep(delayMs, undefined, { signal }).catch(() => {})
    }
  }
}
