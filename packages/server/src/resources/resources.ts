import { type Cache, type Clock, SourceDownError, TidemarkError } from 'tidemark'
import type { Config } from '../config/config.js'
import { ConfigError, type ConfigProblem } from '../errors.js'
import { Resource } from './resource.js'
import type { ResourceContext, ResourceSource } from './source.js'

const RETRY_MIN_MS = 200
const RETRY_MAX_MS = 5_000
const ASK_EVERY_MS = 1_000
const ASK_MAX_MS = 2_000

/** All declared resources, and whether the database knows what they name. */
export class Resources {
  readonly all: readonly Resource[]
  readonly #config: Config
  readonly #source: ResourceSource
  readonly #clock: Clock
  #asked: { readonly at: number; readonly down: Promise<string | undefined> } | undefined
  #retry: { cancel(): void } | undefined
  #isClosed = false

  constructor(config: Config, cache: Cache<ResourceContext>, source: ResourceSource, clock: Clock) {
    this.#config = config
    this.#source = source
    this.#clock = clock
    this.all = config.resources.map((resource) => new Resource(resource, cache))
  }

  /** Why the database does not answer; undefined if it does. Asks at most once a second, however many want to know. */
  whyDown(): Promise<string | undefined> {
    const now = this.#clock.now()
    if (!this.#asked || now - this.#asked.at >= ASK_EVERY_MS) this.#asked = { at: now, down: this.#ask() }
    return this.#asked.down
  }

  get isReady(): boolean {
    return this.all.every(({ checked }) => checked.kind === 'ready')
  }

  /**
   * Checks every resource against the database. If that is down, goes on trying by itself until all are ready.
   *
   * @throws ConfigError with all that the database refuses
   */
  async start(): Promise<void> {
    const problems = await this.#check()
    if (problems.length > 0) throw new ConfigError(this.#config.file, problems)
    if (!this.isReady) this.#again(RETRY_MIN_MS)
  }

  close(): void {
    this.#isClosed = true
    this.#retry?.cancel()
  }

  /** @returns what the database refuses; nothing if it cannot be asked. */
  async #check(): Promise<readonly ConfigProblem[]> {
    const problems: ConfigProblem[] = []
    for (const resource of this.all) {
      if (resource.checked.kind === 'ready') continue
      try {
        problems.push(...(await resource.check(this.#source)))
      } catch (error) {
        if (error instanceof SourceDownError) return []
        throw error
      }
    }
    return problems
  }

  #ask(): Promise<string | undefined> {
    return new Promise((resolve) => {
      const late = this.#clock.after(ASK_MAX_MS, () => resolve(`The database has not answered for ${ASK_MAX_MS} ms.`))
      this.#source
        .describe('select 1')
        .then(
          () => undefined,
          (error: unknown) =>
            error instanceof TidemarkError ? error.message : 'The database cannot be asked; see the log.',
        )
        .then((down) => {
          late.cancel()
          resolve(down)
        })
    })
  }

  /** What the database refuses after the start is told by /health and by the resource; a later table or right mends it. */
  #again(delayMs: number): void {
    if (this.#isClosed) return
    this.#retry = this.#clock.after(delayMs * (0.5 + this.#clock.random()), async () => {
      // What is no error of ours is a fault that may pass too; /health shows that the resources wait.
      await this.#check().catch(() => [])
      if (!this.isReady) this.#again(Math.min(delayMs * 2, RETRY_MAX_MS))
    })
  }
}
