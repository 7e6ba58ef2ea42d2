/**
 * Says which answers were stale: Stale(T) is a read that began more than T after the acknowledgement of a version, and returned an
 * older one. Pure: what is told to it is all that it knows.
 */
export class Judge {
  /** By key: acknowledged versions in their order, `[version, at]`. */
  #acked = new Map()
  /** By key: what was acknowledged and then lost by the server (restored from older files), with when. */
  #lost = new Map()
  #reads = []

  acked(acks) {
    for (const [key, version, at] of acks) {
      const known = this.#acked.get(key)
      if (known) known.push([version, at])
      else this.#acked.set(key, [[version, at]])
    }
  }

  read(reads, process) {
    for (const [key, version, start, state, from, end] of reads)
      this.#reads.push({ key, version, start, end, state, from, process })
  }

  /** The server came back with these versions: what is above them never was. */
  restored(versions, at) {
    for (const [key, version] of versions) {
      const known = this.#acked.get(key) ?? []
      const lost = known.filter(([other]) => other > version).map(([other]) => other)
      if (lost.length > 0)
        this.#lost.set(key, { at, versions: new Set([...(this.#lost.get(key)?.versions ?? []), ...lost]) })
      this.#acked.set(key, [...known.filter(([other]) => other <= version), [version, at]])
    }
  }

  /** Judges the reads that began from `from` until `to`. */
  judge({ staleMs, from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY }) {
    const result = { reads: 0, stale: 0, states: {}, froms: {}, examples: [] }
    for (const read of this.#reads) {
      if (read.start < from || read.start >= to) continue
      result.reads++
      result.states[read.state] = (result.states[read.state] ?? 0) + 1
      result.froms[read.from] = (result.froms[read.from] ?? 0) + 1
      // What says that it is stale deceives nobody.
      if (read.state === 'stale') continue
      const least = this.#least(read.key, read.start - staleMs)
      const lost = this.#lost.get(read.key)
      const isOfLost = lost !== undefined && read.start > lost.at + staleMs && lost.versions.has(read.version)
      if (read.version >= least && !isOfLost) continue
      result.stale++
      if (result.examples.length < 5) result.examples.push({ ...read, least, isOfLost })
    }
    return result
  }

  /** How many answers were called fresh, to reads that began and ended in a time. One that ended later may have waited until it was known again. */
  freshIn(process, from, to) {
    return this.#reads.filter(
      (read) => read.process === process && read.state === 'fresh' && read.start >= from && read.end < to,
    ).length
  }

  /** What is kept and differs from what the database says. */
  differing(kept, versions) {
    const truth = new Map(versions)
    return kept.filter(([key, version]) => truth.get(key) !== version)
  }

  /** The version that a read which began then must at least show. */
  #least(key, at) {
    const known = this.#acked.get(key) ?? []
    let low = 0
    let high = known.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (known[middle][1] < at) low = middle + 1
      else high = middle
    }
    return low === 0 ? 0 : known[low - 1][0]
  }
}
