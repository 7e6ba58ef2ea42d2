import type { LoaderContext } from '../definition.js'
import type { About } from '../dependencies/lookup.js'
import { tagsOf } from '../options.js'
import type { Fill } from './fill.js'

/**
 * What a loader is handed, beside what its source adds. A class: each literal with a getter is of a shape of its own, which V8 keeps, with all
 * that the getter can see, until it collects everything.
 */
export class FillContext implements LoaderContext {
  readonly #fill: Fill
  readonly tenant: string
  readonly tag: (...tags: string[]) => void
  readonly mayStay: (about: About) => void

  constructor(fill: Fill) {
    this.#fill = fill
    this.tenant = fill.tenant
    this.tag = (...tags) => fill.tag(tagsOf(tags))
    this.mayStay = (about) => {
      fill.about = about
    }
  }

  /** Most loaders never look at it, and one costs more than all else that a fill needs. */
  get signal(): AbortSignal {
    return this.#fill.signal
  }
}
