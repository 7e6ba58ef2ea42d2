/** What a line keeps in its members. */
export interface InLine<Member> {
  before: Member | undefined
  after: Member | undefined
}

/**
 * Members in the order in which they came, for those that come and go with every read. V8 lets a table that a Map or Set has outgrown point to
 * the next one: once such a table is old, every later one, and all it holds, outlives the collector's quick rounds
 * (docs/decisions/short-lived.md). Here who has left points to nobody.
 */
export class Line<Member extends InLine<Member>> {
  #first: Member | undefined
  #last: Member | undefined
  #size = 0

  /** Who came before all others. */
  get first(): Member | undefined {
    return this.#first
  }

  get size(): number {
    return this.#size
  }

  add(member: Member): void {
    member.before = this.#last
    if (this.#last) this.#last.after = member
    else this.#first = member
    this.#last = member
    this.#size++
  }

  has(member: Member): boolean {
    return member.before !== undefined || this.#first === member
  }

  /** Does nothing for who is not in it. */
  delete(member: Member): void {
    if (!this.has(member)) return
    const { before, after } = member
    if (before) before.after = after
    else this.#first = after
    if (after) after.before = before
    else this.#last = before
    member.before = undefined
    member.after = undefined
    this.#size--
  }

  clear(): void {
    for (const member of this) this.delete(member)
  }

  /** Whoever it is at may leave meanwhile; that others do needs a copy. */
  *[Symbol.iterator](): Generator<Member> {
    let member = this.#first
    while (member) {
      const { after }: Member = member
      yield member
      member = after
    }
  }
}
