import type { Alphabet } from '../dependencies/alphabet.js'
import type { Block } from './block.js'
import type { OrderedTexts } from './ordered-texts.js'

/**
 * Goes through the texts that begin with a prefix, in order and without copying them: those of one block after the other. Of a block that is
 * passed over little is looked at: its texts lie anywhere in memory.
 */
export class Run {
  readonly #find: () => OrderedTexts | undefined
  readonly #prefix: string
  #ordered: OrderedTexts | undefined
  #version = -1
  #block: Block | undefined
  #at = 0
  /** The text that was the last; undefined: who reads has not marked it. */
  #text: string | undefined
  #handle = -1
  from = 0
  /** Not included. */
  to = 0

  /** @param find  which texts, at each step */
  constructor(find: () => OrderedTexts | undefined, prefix: string) {
    this.#find = find
    this.#prefix = this.#text = prefix
  }

  /** Goes on to the next texts. Returns whether there are any. */
  next(): boolean {
    let [at, from] = [this.#at, this.to]
    if (this.#isChanged()) {
      if (this.#text === undefined) throw new Error('A run goes on from a place that it has not marked.')
      ;[at, from] = this.#ordered?.behind(this.#text, this.#handle) ?? [0, 0]
    }
    const blocks = this.#ordered?.blocks
    if (from === blocks?.[at]?.texts.length) [at, from] = [at + 1, 0]
    const block = blocks?.[at]
    const to = block?.endOf(this.#prefix) ?? 0
    if (!block || from >= to) {
      // What is inserted from now on may come next.
      if (this.#text === undefined) this.mark()
      this.#version = -1
      return false
    }
    this.#block = block
    this.#at = at
    this.from = from
    this.to = to
    this.#text = undefined
    return true
  }

  get texts(): readonly string[] {
    return this.#block?.texts ?? []
  }

  /** What all of them begin with. */
  get beginning(): string {
    const beginning = this.#block?.beginning ?? ''
    return beginning.length > this.#prefix.length ? beginning : this.#prefix
  }

  /** What they are made of behind that. */
  get alphabet(): Alphabet | undefined {
    return this.#block?.alphabet
  }

  /** What comes next comes from this place on. */
  end(to: number): void {
    this.to = to
  }

  /** Also takes what comes behind it and begins so, as its last text does. Returns how many these are; cost: some look-ups, and their blocks. */
  extend(beginning: string): number {
    const blocks = this.#ordered?.blocks ?? []
    if (this.to < this.texts.length || !blocks[this.#at + 1]?.texts[0]?.startsWith(beginning)) return 0
    // Of the blocks behind it, those that begin with a match come first.
    let [last, beyond] = [this.#at + 1, blocks.length]
    while (beyond - last > 1) {
      const middle = (last + beyond) >>> 1
      if (blocks[middle]!.texts[0]!.startsWith(beginning)) last = middle
      else beyond = middle
    }
    let count = 0
    for (let at = this.#at + 1; at < last; at++) count += blocks[at]!.texts.length
    this.#at = last
    this.#block = blocks[last]!
    this.from = 0
    this.to = this.#block.endOf(beginning)
    return count + this.to
  }

  /** Something may be inserted or removed before the next step: that then disturbs neither what stays nor the end. */
  mark(): void {
    if (!this.#block || this.to === 0) return
    this.#text = this.#block.texts[this.to - 1]!
    this.#handle = this.#block.handles[this.to - 1]!
  }

  #isChanged(): boolean {
    const ordered = this.#find()
    if (ordered === this.#ordered && ordered?.version === this.#version) return false
    this.#ordered = ordered
    this.#version = ordered?.version ?? -1
    return true
  }
}
