interface Waiting<Item, Answer> {
  readonly item: Item
  resolve(answer: Answer | Promise<Answer>): void
  reject(error: unknown): void
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
  #waiting: Waiting<Item, Answer>[] = []

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
    this.#load.waiting++
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      if (this.#waiting.length === 1) setImmediate(() => this.#flush())
      else if (this.#waiting.length >= this.#sizeMax) this.#flush()
    })
  }

  #flush(): void {
    const waiting = this.#waiting
    if (waiting.length === 0) return
    this.#waiting = []
    this.#send(waiting.map(({ item }) => item)).then(
      (answers) => {
        this.#load.waiting -= waiting.length
        for (let i = 0; i < waiting.length; i++) waiting[i]!.resolve(answers[i]!)
      },
      (error: unknown) => {
        this.#load.waiting -= waiting.length
        for (const each of waiting) each.reject(error)
      },
    )
  }
}
