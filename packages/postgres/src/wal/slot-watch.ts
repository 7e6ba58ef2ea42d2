import type { Clock } from 'tidemark'
import { NoSlotError, RightsError, SlotError } from './errors.js'
import { pause } from './pause.js'
import type { SharedSlot, SlotLook } from './shared-slot.js'

/** Within 3 s of its becoming free somebody holds it again. */
const EVERY_MS = 400

export interface SlotWatchOptions {
  readonly slot: SharedSlot
  readonly clock: Clock
  /** Whether this process follows through it. */
  holds(): boolean
  /** It is free, or missing: follow through it from now on, if nothing is missed. */
  take(look: SlotLook, signal: AbortSignal): Promise<void>
  /** This process holds it, and must not any more. */
  giveUp(reason: string): void
  tell(problem: SlotError | RightsError | NoSlotError): void
}

/** Looks at the shared slot while the log is followed: takes it over when it is free, and has it dropped before it fills a disk. */
export class SlotWatch {
  readonly #options: SlotWatchOptions

  constructor(options: SlotWatchOptions) {
    this.#options = options
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, tell } = this.#options
    while (!signal.aborted) {
      // Not all at once, where many processes watch it.
      await pause(clock, EVERY_MS * (0.5 + clock.random()), signal)
      if (signal.aborted) return
      try {
        await this.#look(signal)
      } catch (error) {
        // What else failed is tried again at the next look.
        if (error instanceof SlotError || error instanceof RightsError || error instanceof NoSlotError) tell(error)
      }
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { slot, holds, take, giveUp, tell } = this.#options
    let look = await slot.look()
    if (look.reason !== '') {
      if (holds()) return giveUp(look.reason)
      tell(gaveUp(slot.name, look.reason))
      await slot.drop()
      look = await slot.look()
    }
    if (!holds() && !look.isActive) await take(look, signal)
  }
}

/** Says what became of a slot that could not be kept. */
export function gaveUp(name: string, reason: string): SlotError {
  return new SlotError(`The shared slot "${name}" was given up and is made anew: ${reason}.`)
}
