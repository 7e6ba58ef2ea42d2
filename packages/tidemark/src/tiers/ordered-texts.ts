/** A block is split when it has more. */
const BLOCK_MAX = 256

interface Block {
  readonly texts: string[]
  readonly handles: number[]
}

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

  get size(): number {
    return this.#size
  }

  insert(text: string, handle: number): void {
    this.#size++
    const at = this.#blockOf(text, handle)
    const block = this.#blocks[at]
    if (!block) {
      this.#blocks.push({ texts: [text], handles: [handle] })
      return
    }
    const place = placeOf(block, text, handle)
    block.texts.splice(place, 0, text)
    block.handles.splice(place, 0, handle)
    if (block.texts.length <= BLOCK_MAX) return
    // What is inserted in order comes at the end: there the block stays full.
    const cut = place === BLOCK_MAX ? BLOCK_MAX : BLOCK_MAX >>> 1
    this.#blocks.splice(at + 1, 0, { texts: block.texts.splice(cut), handles: block.handles.splice(cut) })
  }

  /** Removes what was inserted with the same text and handle. Returns whether it was here. */
  remove(text: string, handle: number): boolean {
    const at = this.#blockOf(text, handle)
    const block = this.#blocks[at]
    if (!block) return false
    const place = placeOf(block, text, handle)
    if (block.handles[place] !== handle || block.texts[place] !== text) return false
    this.#size--
    if (block.texts.length === 1) {
      this.#blocks.splice(at, 1)
      return true
    }
    block.texts.splice(place, 1)
    block.handles.splice(place, 1)
    return true
  }

  /**
   * Puts into `page` the next texts that begin with `prefix`, in order, after this text and handle (first: `prefix` and -1); as many
   * as are left of one block. Empty: there are no more. What is inserted or removed between two pages does not disturb them.
   */
  page(page: Page, prefix: string, afterText: string, afterHandle: number): void {
    page.texts.length = page.handles.length = 0
    const at = this.#blockOf(afterText, afterHandle + 1)
    let block = this.#blocks[at]
    let place = block ? placeOf(block, afterText, afterHandle + 1) : 0
    if (place === block?.texts.length) {
      block = this.#blocks[at + 1]
      place = 0
    }
    if (!block) return
    // Where the last one begins with it, all before it do: they lie anywhere in memory, and need not be looked at.
    const isWhole = block.texts[block.texts.length - 1]!.startsWith(prefix)
    for (; place < block.texts.length && (isWhole || block.texts[place]!.startsWith(prefix)); place++) {
      page.texts.push(block.texts[place]!)
      page.handles.push(block.handles[place]!)
    }
  }

  /** How many begin with `prefix`. Cost: some look-ups, and the number of blocks between the first and the last. */
  count(prefix: string): number {
    const first = this.#blockOf(prefix, -1)
    if (this.#blocks.length === 0) return 0
    // Of the blocks behind it, those that begin with a match come first.
    let [last, beyond] = [first, this.#blocks.length]
    while (beyond - last > 1) {
      const middle = (last + beyond) >>> 1
      if (this.#blocks[middle]!.texts[0]!.startsWith(prefix)) last = middle
      else beyond = middle
    }
    let count = endOf(this.#blocks[last]!, prefix) - placeOf(this.#blocks[first]!, prefix, -1)
    for (let at = first; at < last; at++) count += this.#blocks[at]!.texts.length
    return count
  }

  /** The last block that begins at or before the item, or the first: there it is, or belongs. */
  #blockOf(text: string, handle: number): number {
    let [low, high] = [0, this.#blocks.length]
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (isBefore(text, handle, this.#blocks[middle]!, 0)) high = middle
      else low = middle
    }
    return low
  }
}

/** Where the item is in the block, or belongs. */
function placeOf(block: Block, text: string, handle: number): number {
  let [low, high] = [0, block.texts.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(text, handle, block, middle) || (block.handles[middle] === handle && block.texts[middle] === text))
      high = middle
    else low = middle + 1
  }
  return low
}

/** Where those end that begin with the prefix, or would be. */
function endOf({ texts }: Block, prefix: string): number {
  let [low, high] = [0, texts.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (texts[middle]! > prefix && !texts[middle]!.startsWith(prefix)) high = middle
    else low = middle + 1
  }
  return low
}

function isBefore(text: string, handle: number, { texts, handles }: Block, place: number): boolean {
  const other = texts[place]!
  return text < other || (text === other && handle < handles[place]!)
}
