import { type Client, escapeIdentifier, escapeLiteral } from 'pg'
import { type Clock, formatLsn, LogGapError, type TidemarkError } from 'tidemark'
import { lostError, ProtocolError, sqlState } from './errors.js'
import { parseWal, statusUpdate } from './protocol.js'
import type { ProvenPlace } from './proven-place.js'
import type { Transaction, TransactionReader } from './transaction.js'
import { Wakes } from './wakes.js'

export interface StreamOptions {
  readonly slot: string
  readonly publication: string
  /** The server's, as server_version_num has it. */
  readonly version: number
  /** How often the server is told what was applied. */
  readonly statusIntervalMs: number
  /** Where only what is proven may be acknowledged: told of all that the slot delivers. Default: what is applied is acknowledged. */
  readonly proven?: Pick<ProvenPlace, 'lsn' | 'committed' | 'passed' | 'ask'> | undefined
  /** A question that is not answered for this long means that the line is dead. */
  readonly silenceMaxMs: number
  readonly clock: Clock
}

/** All calls are synchronous: what was handed over when they return is applied, and may be acknowledged. */
export interface StreamListener {
  /** The server streams; called before the first message is handed over. */
  started(): void
  transaction(transaction: Transaction): void
  /** One that was applied before came again. */
  again(transaction: Transaction): void
  progress(lsn: number): void
}

/** What `pg` does not type: a connection in copy-both mode. */
interface CopyBoth {
  on(event: 'copyData', listener: (message: { readonly chunk: Buffer }) => void): void
  once(event: 'replicationStart', listener: () => void): void
  sendCopyFromChunk(chunk: Buffer): void
  readonly stream: { destroy(): void }
}

/**
 * The replication connection once it streams: hands over whole transactions in order, and acknowledges only what was applied (or, where
 * asked to, proven).
 */
export class Stream {
  readonly #client: Client
  readonly #wire: CopyBoth
  readonly #options: StreamOptions
  readonly #reader: TransactionReader
  readonly #listener: StreamListener
  #lsn: number
  #told = 0
  #acknowledged = 0
  #heardAt: number
  /** When a reply was asked for that did not come yet. */
  #askedAt: number | undefined
  #timer: { cancel(): void } | undefined
  #wakes: Wakes | undefined
  #hasStarted = false
  #hasEnded = false
  #isBroken = false
  /** What a shared slot sends again, up to here, was applied. */
  #appliedTo: number
  #fail: (error: unknown) => void = () => {}
  /** Resolves with the reason when the stream ends. Never rejects. */
  readonly ended: Promise<TidemarkError>

  constructor(
    client: Client,
    from: number,
    options: StreamOptions,
    reader: TransactionReader,
    listener: StreamListener,
  ) {
    this.#client = client
    this.#wire = client.connection as unknown as CopyBoth
    this.#options = options
    this.#reader = reader
    this.#listener = listener
    this.#lsn = from
    this.#appliedTo = from
    this.#heardAt = options.clock.now()
    this.ended = new Promise((resolve) => {
      this.#fail = (error) => {
        this.#hasStarted = false
        this.#hasEnded = true
        this.#timer?.cancel()
        this.#wakes?.stop()
        resolve(lostError(error))
      }
    })
  }

  /** Everything that was committed up to here was handed over. */
  get lsn(): number {
    return this.#lsn
  }

  /** It ended because something could not be understood or applied: what was handed over last may be applied in part. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Before the first message: all up to here was applied from another stream. */
  skipTo(lsn: number): void {
    this.#lsn = Math.max(this.#lsn, lsn)
    this.#appliedTo = this.#lsn
  }

  get isInTransaction(): boolean {
    return this.#reader.isOpen
  }

  /** Asks the server to stream. Whether it does, `started` and `ended` tell. */
  start(): void {
    const { slot, publication, version } = this.#options
    const ended = (error: unknown): void => this.#fail(this.#reason(error))
    this.#wire.once('replicationStart', () => this.#started())
    this.#wire.on('copyData', ({ chunk }) => this.#received(chunk))
    this.#client.on('end', () => ended(new Error('The connection ended.')))
    // 0/0: from where the slot begins. The server believes any other position, and would skip what lies before it.
    const command = `START_REPLICATION SLOT ${slot} LOGICAL 0/0`
    const names = escapeLiteral(escapeIdentifier(publication))
    this.#client
      .query(`${command} (${optionsOf(version)}, publication_names ${names})`)
      .then(() => ended(new Error('The server ended the stream.')), ended)
  }

  /**
   * Tells the server what was applied; with `wantsReply` it answers at once how far it has read.
   *
   * The last word never acknowledges: as long as the server has an acknowledged place of ours in mind, it takes us for a synchronous
   * standby where `synchronous_standby_names` is `*`, and does not stop before all is acknowledged. Commits would wait for us to see
   * them, and we for them to be shown; or the server for what can't be proven any more.
   */
  tell(wantsReply: boolean): void {
    if (!this.#hasStarted) return
    const acknowledged = this.#toAcknowledge
    if (acknowledged > this.#acknowledged) this.#send(acknowledged, false)
    this.#acknowledged = acknowledged
    this.#told = this.#lsn
    this.#send(0, wantsReply)
  }

  get #toAcknowledge(): number {
    const { proven } = this.#options
    return Math.max(this.#acknowledged, proven ? proven.lsn : this.#lsn)
  }

  #send(acknowledged: number, wantsReply: boolean): void {
    this.#wire.sendCopyFromChunk(statusUpdate(this.#lsn, acknowledged, this.#options.clock.wall(), wantsReply))
  }

  /** Gives the connection up; `ended` resolves. */
  cut(reason: unknown): void {
    this.#fail(reason)
    this.#wire.stream.destroy()
  }

  #started(): void {
    this.#hasStarted = true
    try {
      this.#listener.started()
      this.#tick()
      if (!this.#hasEnded)
        this.#wakes = Wakes.of(this.#options.version, this.#options.clock, () => this.#send(0, false))
    } catch (error) {
      this.cut(error)
    }
  }

  #received(chunk: Buffer): void {
    // What was in the same packet as the last message before the end.
    if (this.#hasEnded) return
    this.#heardAt = this.#options.clock.now()
    this.#askedAt = undefined
    try {
      const message = parseWal(chunk)
      if (message.kind === 'keepalive') return this.#keepalive(message.walEnd, message.wantsReply)
      this.#wakes?.heard(this.#heardAt)
      const transaction = this.#reader.read(message.data)
      if (transaction) this.#transaction(transaction)
    } catch (error) {
      // Nothing is skipped: what can't be understood, or applied, ends this start.
      this.#isBroken = true
      this.cut(error)
    }
  }

  #transaction(transaction: Transaction): void {
    if (transaction.endLsn > this.#appliedTo) this.#apply(transaction)
    else this.#listener.again(transaction)
    this.#options.proven?.committed(transaction)
  }

  #apply(transaction: Transaction): void {
    if (transaction.endLsn <= this.#lsn) {
      throw new ProtocolError(
        `The server sent a commit at ${formatLsn(transaction.endLsn)}, before what it had sent already.`,
      )
    }
    this.#listener.transaction(transaction)
    this.#lsn = transaction.endLsn
  }

  #keepalive(walEnd: number, wantsReply: boolean): void {
    // All commits before walEnd were sent; but between a begin and its commit it says nothing about the open one.
    if (!this.#reader.isOpen) {
      if (walEnd > this.#lsn) {
        this.#listener.progress(walEnd)
        this.#lsn = walEnd
      }
      this.#options.proven?.passed(walEnd)
    }
    if (wantsReply) this.tell(false)
  }

  /** Tells the server regularly what was applied, and finds out when the line is dead. */
  #tick(): void {
    const { clock, statusIntervalMs, silenceMaxMs, proven } = this.#options
    const now = clock.now()
    // After a pause of this process the server's words may wait in the socket: only a question that stays unanswered counts.
    if (this.#askedAt !== undefined && now - this.#askedAt > silenceMaxMs) {
      return this.cut(new Error(`The server has not answered for ${Math.round(now - this.#askedAt)} ms.`))
    }
    if (now - this.#heardAt > silenceMaxMs / 2) {
      this.#askedAt ??= now
      this.tell(true)
    } else if (this.#told < this.#lsn || this.#acknowledged < this.#toAcknowledge) this.tell(false)
    proven?.ask()
    this.#timer = clock.after(statusIntervalMs, () => this.#tick())
  }

  #reason(error: unknown): unknown {
    if (sqlState(error) !== '42704') return error
    return new LogGapError(
      `The publication "${this.#options.publication}" does not exist any more; changes since then are lost. It is created anew, and the log taken up from there.`,
      { cause: error },
    )
  }
}

/** Where the server can, large transactions come in segments before they are committed, so that others need not wait for them. */
function optionsOf(version: number): string {
  return version >= 140_000 ? "proto_version '2', streaming 'on', messages 'true'" : "proto_version '1'"
}
