import type { SqlConnection } from './connection.js'
import { changesBetween, type DefinitionChanges, NO_CHANGES, together } from './definition-changes.js'
import { type Amendment, amended, type Definitions, NO_DEFINITIONS, readDefinitions } from './definitions.js'

/** Of more than this the oldest are forgotten: then a message of an event trigger may touch what is touched already. */
const ON_THE_WAY_MAX = 8

/**
 * What is known of the definitions in the catalogue: how the last look found them, and how the log has told of them. The two go
 * different ways: a look runs ahead of the log, and event triggers tell what no look has seen.
 */
export class KnownDefinitions {
  /** As the last look found them. */
  #seen = NO_DEFINITIONS
  /** Every change up to these is written into the log. */
  #told = NO_DEFINITIONS
  /** What was told, and is not read from the log yet: oldest first. */
  #onTheWay: Definitions[] = []
  /** Every change up to these was read from the log. */
  #heard = NO_DEFINITIONS
  /** As event triggers have told, each object at its last command. */
  #amended = NO_DEFINITIONS

  /** Reads them, if they are not those of the fingerprint. Returns theirs. */
  async look(sql: SqlConnection, version: number, fingerprint: string): Promise<string> {
    if (fingerprint !== this.#seen.fingerprint) this.#seen = await readDefinitions(sql, version)
    return this.#seen.fingerprint
  }

  /** Following begins with what the last look found. */
  start(): void {
    this.#told = this.#heard = this.#amended = this.#seen
    this.#onTheWay = []
  }

  /** The fingerprints between which they changed since `told`; undefined if they did not. */
  get step(): { readonly from: string; readonly to: string } | undefined {
    const [from, to] = [this.#told.fingerprint, this.#seen.fingerprint]
    return from === to ? undefined : { from, to }
  }

  /** What that touches. */
  touched(): DefinitionChanges {
    return this.#told === this.#seen ? NO_CHANGES : changesBetween(this.#told, this.#seen)
  }

  /** What the last look found is in the log now. */
  told(): void {
    if (this.#told === this.#seen) return
    this.#told = this.#seen
    this.#onTheWay = [...this.#onTheWay.slice(1 - ON_THE_WAY_MAX), this.#told]
  }

  /** The log has told every change up to these. */
  heard(fingerprint: string): void {
    // It may come before whoever wrote it knows that it is written.
    const ways = [...this.#onTheWay, this.#seen]
    const at = ways.findIndex((each) => each.fingerprint === fingerprint)
    if (at < 0) return
    this.#heard = ways[at]!
    this.#onTheWay = this.#onTheWay.slice(at + 1)
  }

  /**
   * The log tells how a command left some objects. What they were is compared with both what was heard for certain and what was told in
   * between: anybody may write such a message, and so it only ever adds to what is touched.
   */
  amend(amendment: Amendment): DefinitionChanges {
    const { definitions, keys } = amended(this.#amended, amendment)
    const since = (before: Definitions): DefinitionChanges => changesBetween(before, definitions, keys)
    const changes = since(this.#amended)
    this.#amended = definitions
    return together(changes, since(this.#heard))
  }
}
