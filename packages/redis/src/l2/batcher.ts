/** Who waits for answers. */
interface Asker<Answer> {
  answered(index: number, answer: Answer | Promise<Answer>): void
  failed(index: number, error: unknown): void
}

/** How many calls wait for an answer. */
export interface Load {
  waiting: number
}

/** Sends together what is asked for in one turn of the event loop. */
export class Batcher<Item, Answer> {
  readonly #sizeMax: number
  readonly #load: Load
  readonly #send: (items: readonly Item[]) => Promise<readonly (Answer | Promise<Answer>)[]>
  #items: Item[] = []
  /** Of each item, whose it is, and which of theirs. */
  #askers: Asker<Answer>[] = []
  #indexes: number[] = []
  #isDue = false

  /** @param send answers in the order of the items */
  constructor(
    sizeMax: number,
    load: Load,
    send: (items: readonly Item[]) => Promise<readonly (Answer | Promise<Answer>)[]>,
  ) {
    this.#sizeMax = sizeMax
    this.#load = load
    this.#send = send
  }

  add(item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#push(item, { answered: (_, answer) => resolve(answer), failed: (_, error) => reject(error) }, 0)
    })
  }

  /** One promise for all; what could not be sent, or was not answered, is undefined. */
  addAll(items: readonly Item[]): Promise<(Answer | undefined)[]> {
    if (items.length === 0) return Promise.resolve([])
    return new Promise((resolve) => {
      const all = new All<Answer>(items.length, resolve)
      for (let i = 0; i < items.length; i++) this.#push(items[i]!, all, i)
    })
  }

  #push(item: Item, asker: Asker<Answer>, index: number): void {
    this.#load.waiting++
    this.#items.push(item)
    this.#askers.push(asker)
    this.#indexes.push(index)
    if (this.#items.length >= this.#sizeMax) this.#flush()
    else if (!this.#isDue) {
      this.#isDue = true
      setImmediate(() => {
        this.#isDue = false
        this.#flush()
      })
    }
  }

  #flush(): void {
    const items = this.#items
    if (items.length === 0) return
    const [askers, indexes] = [this.#askers, this.#indexes]
    this.#items = []
    this.#askers = []
    this.#indexes = []
    this.#send(items).then(
      (answers) => {
        this.#load.waiting -= items.length
        for (let i = 0; i < items.length; i++) askers[i]!.answered(indexes[i]!, answers[i]!)
      },
      (error: unknown) => {
        this.#load.waiting -= items.length
        for (let i = 0; i < items.length; i++) askers[i]!.failed(indexes[i]!, error)
      },
    )
  }
}

class All<Answer> implements Asker<Answer> {
  readonly #answers: (Answer | undefined)[]
  readonly #resolve: (answers: (Answer | undefined)[]) => void
  #missing: number

  constructor(count: number, resolve: (answers: (Answer | undefined)[]) => void) {
    this.#answers = new Array(count)
    this.#missing = count
    this.#resolve = resolve
  }

  answered(index: number, answer: Answer | Promise<Answer>): void {
    if (answer instanceof Promise) {
      answer.then(
        (later) => this.#put(index, later),
        () => this.#put(index, undefined),
      )
    } else this.#put(index, answer)
  }

  failed(index: number): void {
    this.#put(index, undefined)
  }

  #put(index: number, answer: Answer | undefined): void {
    this.#answers[index] = answer
    if (--this.#missing === 0) this.#resolve(this.#answers)
  }
}
