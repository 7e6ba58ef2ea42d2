import { formatPosition, PositionError, parsePosition } from 'tidemark'
import type { Representation } from '../resources/representation.js'

/** What a client has seen: a value's hash, and a position as of which it held. */
export interface Mark {
  readonly epoch: string
  readonly lsn: number
  readonly hash: string
}

/** One state of an entry. */
export interface Frame extends Mark {
  readonly of: Representation
  /** As an event, written once for all who get it. */
  readonly bytes: Buffer
}

/** A value as an event: `id` is the position as of which it holds and its hash, `data` its JSON on one line. */
export function frameOf(asOf: string, representation: Representation): Frame {
  const { body, hash, event } = representation
  const id = `${asOf}-${hash}`
  const mark = parseEventId(id)
  if (!mark) throw new PositionError('A stream can only carry positions with an epoch.')
  let bytes: Buffer | undefined
  return {
    ...mark,
    of: representation,
    get bytes() {
      bytes ??= eventOf(id, event, body)
      return bytes
    },
  }
}

/** An event; `data` is one line. */
export function eventOf(id: string, event: string | undefined, data: string): Buffer {
  return Buffer.from(`id: ${id}\n${event === undefined ? '' : `event: ${event}\n`}data: ${data}\n\n`)
}

/** The id under which a state is sent. */
export function idOf(frame: Mark): string {
  return `${formatPosition(frame)}-${frame.hash}`
}

/** Reads an event's id. What is malformed is none: the client gets the value. */
export function parseEventId(text: string | undefined): Mark | undefined {
  const [, position, hash] = /^([^@]{1,200})-([0-9a-f]{32})$/.exec(text ?? '') ?? []
  if (position === undefined || hash === undefined) return undefined
  try {
    const { epoch, lsn } = parsePosition(position)
    return epoch === undefined ? undefined : { epoch, lsn, hash }
  } catch {
    return undefined
  }
}

/**
 * Whether a state goes to a client that has seen `last`. Positions of different epochs are not ordered, so such a state is
 * sent; of one epoch, an older state is never sent, and the same value not again.
 */
export function judge(frame: Mark, last: Mark | undefined): 'send' | 'older' | 'same' {
  if (last === undefined || frame.epoch !== last.epoch) return 'send'
  if (frame.lsn < last.lsn) return 'older'
  return frame.hash === last.hash ? 'same' : 'send'
}
