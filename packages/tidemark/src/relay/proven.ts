import { isStartSeen, isVisible } from '../follow/visible.js'
import type { Commit } from '../log/change.js'
import type { LogStart, Probe, StartProof } from '../log/log.js'
import { relayRules } from './rules.js'

/** How far all of a log was seen by snapshots of its source: what lies before can be seen by whoever reads it from now on. */
export class Proven {
  #start: StartProof = { kind: 'visible' }
  #position = 0
  #unproven: { readonly from: number; readonly xid: number }[] = []

  started({ lsn, proof }: LogStart): void {
    this.#start = proof
    this.#position = lsn
    this.#unproven = []
  }

  committed({ lsn, xid }: Commit): void {
    if (xid !== undefined) this.#unproven.push({ from: this.#position, xid })
    this.#position = lsn
  }

  progressed(lsn: number): void {
    if (lsn > this.#position) this.#position = lsn
  }

  /** A snapshot that was asked for in this start. */
  saw({ snapshot }: Probe): void {
    if (isStartSeen(this.#start, snapshot)) this.#start = { kind: 'visible' }
    this.#unproven = snapshot ? this.#unproven.filter(({ xid }) => !isVisible(xid, snapshot)) : []
  }

  /** undefined while what lies before the start may be hidden. */
  get upTo(): number | undefined {
    return this.#start.kind === 'visible' ? relayRules.provenUpTo(this.#unproven[0]?.from, this.#position) : undefined
  }
}
