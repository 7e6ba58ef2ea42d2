import type { CallOptions } from '../definition.js'
import type { Policy } from '../options.js'
import type { SlotKey } from '../tiers/space.js'
import type { Batches } from './batch.js'
import type { AnyLoader } from './flight.js'
import type { Keyspace } from './keyspace.js'

/** What is asked for: the same whichever way it is asked. A class: why, see Run. */
export class Request {
  readonly space: Keyspace
  readonly key: SlotKey
  readonly load: AnyLoader
  readonly args: readonly unknown[]
  readonly policy: Policy
  readonly call: CallOptions | undefined
  /** Loads the key together with others, where they are asked for together. */
  readonly batch: Batches | undefined

  constructor(
    space: Keyspace,
    key: SlotKey,
    load: AnyLoader,
    args: readonly unknown[],
    policy: Policy,
    call: CallOptions | undefined,
    batch?: Batches,
  ) {
    this.space = space
    this.key = key
    this.load = load
    this.args = args
    this.policy = policy
    this.call = call
    this.batch = batch
  }

  /** The same, by nobody's call: in a space that may be another one by now. */
  uncalled(space = this.space): Request {
    return new Request(space, this.key, this.load, this.args, this.policy, undefined, this.batch)
  }
}
