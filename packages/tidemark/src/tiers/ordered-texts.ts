import { Block } from './block.js'

/** A block is split when it has more. */
const BLOCK_MAX = 256

/** Some texts in order, each with its handle; filled by `OrderedTexts.page`. */
export class Page {
  readonly texts: string[] = []
  readonly handles: number[] = []
}

/**
 * Texts in the order of their UTF-16 units, each with a handle; a text may be here under several handles. A list of sorted blocks: at
 * a million texts an insertion or removal costs two binary searches, and moves at most a block's items and the list of blocks.
 */
export class OrderedTexts {
  readonly #blocks: Block[] = []
  #size = 0
  /** Another one after each insertion and removal. */
  version = 0

  get size(): number {
    return this.#size
  }

  insert(text: string, handle: number): void {
    this.#size++
    this.version++
    const at = this.#blockOf(text, handle)
    const block = this.#blocks[at]
    if (!block) {
      this.#blocks.push(new Block([text], [handle]))
      return
    }
    const place = block.placeOf(text, handle)
    block.insert(place, text, handle)
    if (block.texts.length <= BLOCK_MAX) return
    // What is inserted in order comes at the end: there the block stays full.
    this.#blocks.splice(at + 1, 0, block.split(place === BLOCK_MAX ? BLOCK_MAX : BLOCK_MAX >>> 1))
  }

  /** Removes what was inserted with the same text and handle. Returns whether it was here. */
  remove(text: string, handle: number): boolean {
    const at = this.#blockOf(text, handle)
    const block = this.#blocks[at]
    if (!block) return false
    const place = block.placeOf(text, handle)
    if (!block.has(place, text, handle)) return false
    this.#size--
    this.version++
    if (block.texts.length === 1) this.#blocks.splice(at, 1)
    else block.remove(place)
    return true
  }

  /**
   * Puts into `page` the next texts that begin with `prefix`, in order, after this text and handle (first: `prefix` and -1); as many
   * as are left of one block. Empty: there are no more. What is inserted or removed between two pages does not disturb them.
   */
  page(page: Page, prefix: string, afterText: string, afterHandle: number): void {
    page.texts.length = page.handles.length = 0
    let [at, from] = this.behind(afterText, afterHandle)
    if (from === this.#blocks[at]?.texts.length) [at, from] = [at + 1, 0]
    const block = this.#blocks[at]
    const to = block?.endOf(prefix) ?? 0
    for (let place = from; place < to; place++) {
      page.texts.push(block!.texts[place]!)
      page.handles.push(block!.handles[place]!)
    }
  }

  get blocks(): readonly Block[] {
    return this.#blocks
  }

  /** Where what comes next behind an item is, or belongs, whether or not that is here. */
  behind(text: string, handle: number): [block: number, place: number] {
    const at = this.#blockOf(text, handle + 1)
    return [at, this.#blocks[at]?.placeOf(text, handle + 1) ?? 0]
  }

  /** The last block that begins at or before the item, or the first: there it is, or belongs. */
  #blockOf(text: string, handle: number): number {
    let [low, high] = [0, this.#blocks.length]
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (this.#blocks[middle]!.isAfter(0, text, handle)) high = middle
      else low = middle
    }
    return low
  }
}
