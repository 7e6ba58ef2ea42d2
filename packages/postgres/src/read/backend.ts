import type { Reading, Session } from 'tidemark'
import type { Followed } from '../followed.js'
import type { Analysis } from '../sql/analyse.js'
import type { Analyst, Server } from '../sql/analyst.js'
import type { Answered } from '../sql/answered.js'
import { Binding, type BindingLimits } from '../sql/bind.js'
import type { Ask } from '../sql/catalogue.js'
import { type Description, describe } from '../sql/describe.js'
import { askFacts, askReplayed, type ConnectionFacts, type FollowedServer, isPlain, whereTo } from './facts.js'
import { notifyMisread } from './notices.js'
import type { SelfCheck } from './self-check.js'
import { askTouched } from './touched.js'

/**
 * Where a read runs. alone: outside of any transaction. in-session: in a transaction of ours that holds nothing else.
 * in-transaction: in one of the loader's own. unseen: its rows go past us, so what it reads is not known when it returns; the same in a transaction.
 */
export type Where = 'alone' | 'in-session' | 'in-transaction' | 'unseen' | 'unseen-in-transaction'

/** What the connections of one pool go by. */
export interface Reader {
  readonly analyst: Analyst
  /** undefined where the source is not followed: then nothing depends on what the log sends. */
  readonly followed: Followed | undefined
  readonly limits: BindingLimits
  readonly selfCheck: SelfCheck
  /** The settings of the pool's first connection, as its own set-up left them. */
  settings: string | undefined
}

/** Runs the query of a fill. */
type Run<Result> = () => Promise<{ result: Result; answered: Answered | undefined }>

/** Runs a query config, or something else that the driver can submit, on a client. */
export type RunQuery = (query: object) => unknown

/** A connection, as reads that may be kept see it: where it leads, how it is set, what has run on it. */
export class Backend implements Server {
  readonly #query: RunQuery
  readonly #reader: Reader
  #facts: ConnectionFacts | undefined
  #firstSettings: string | undefined
  /** What was followed when it was introduced. */
  #server: FollowedServer | undefined
  /** Something ran since the facts were asked that may have changed them. */
  #isSuspect = false
  /** Something may have set what can't be asked for (custom settings). */
  #isTouched = false
  #variant: { readonly settings: string; readonly text: string } | undefined

  /** @param query  runs a query on the client, past any wrapping of it */
  constructor(query: RunQuery, reader: Reader) {
    this.#query = query
    this.#reader = reader
  }

  readonly ask: Ask = async (text, values) => {
    const { rows } = (await this.#query({ text, values, rowMode: 'array', types: TEXT })) as { rows: string[][] }
    return rows[0]![0]!
  }

  /** In a transaction, which a question that fails must not abort: it may read rows that the statement does not come to, and fail by one of them. */
  readonly #askInside: Ask = async (text, values) => {
    await this.#query({ text: 'savepoint tidemark_asked' })
    try {
      return await this.ask(text, values)
    } catch (error) {
      await this.#query({ text: 'rollback to savepoint tidemark_asked' })
      throw error
    } finally {
      await this.#query({ text: 'release savepoint tidemark_asked' })
    }
  }

  readonly describe = (text: string): Promise<Description> => describe(this.#query, text)

  /** Asks what the connection is: when it has been set up, and nothing else has run on it yet. */
  async introduce(): Promise<void> {
    this.#server = this.#reader.followed?.server
    this.#facts = await this.#ask()
    this.#firstSettings = this.#facts.settings
    this.#reader.settings ??= this.#facts.settings
  }

  get isIntroduced(): boolean {
    return this.#facts !== undefined
  }

  /** Says that something ran which may have changed settings; `hidden` ones can't be asked for. */
  ran(changes: 'settings' | 'hidden'): void {
    this.#isSuspect = true
    if (changes === 'hidden') this.#isTouched = true
  }

  /** Says that all that had been set was reset. */
  wasReset(): void {
    this.#isSuspect = true
    this.#isTouched = false
  }

  /** Something ran that may have changed what is known of it: `look` before it is used. */
  get isSuspect(): boolean {
    return this.#isSuspect || !this.#facts
  }

  /** Whether it is no longer as it was when it was introduced, or what is followed has moved since: then another may be better. */
  isSpoilt(hasSession: boolean): boolean {
    const server = this.#reader.followed?.server
    const hasMoved = server !== undefined && server !== this.#server && whereTo(this.#facts!, server) === 'elsewhere'
    return hasMoved || (hasSession && this.#isTouched) || this.#facts!.settings !== this.#firstSettings
  }

  /**
   * Runs a read of a fill, and tells the fill what it read.
   *
   * @param where  where the query will run
   * @param run  runs the query; what it resolves with says what was answered, as far as that can be seen
   */
  async read<Result>(
    text: string,
    values: readonly unknown[],
    reading: Reading,
    where: Where,
    run: Run<Result>,
  ): Promise<Result> {
    if (this.isSuspect) await this.look()
    const isClean = this.#isClean(reading.session !== undefined)
    if (!isClean) reading.unkept('dirty-connection')
    const place = this.#place(reading)
    // A standby may still show the catalogue of before.
    const isCurrent = !place || (this.#reader.followed?.shows(await place) ?? false)
    const { followed, limits, selfCheck, analyst } = this.#reader
    if (!this.#facts?.isParsedPlainly || !isPlain(reading.session)) reading.unkept('not-understood')
    const variant = this.#variantOf(reading.session)
    const { statement, analysis: found } =
      analyst.known(text, variant) ?? (await analyst.analyse(text, variant, this, isCurrent))
    const analysis = selfCheck.amended(statement, found)
    if (!analysis.isRead || analysis.reasons.has('writes')) this.ran('hidden')
    else if (analysis.reasons.has('function')) this.ran('settings')
    const binding = new Binding(analysis, values, reading, followed, limits)
    await binding.prepare(where === 'alone' || where === 'unseen' ? this.ask : this.#askInside)
    // On a connection of other settings names may mean something else each time, and what a function that is not IMMUTABLE
    // reads is not looked for: those answers are not kept anyway.
    const isChecked =
      isClean &&
      where !== 'unseen' &&
      where !== 'unseen-in-transaction' &&
      followed !== undefined &&
      analysis.isRead &&
      !analysis.reasons.has('writes') &&
      !analysis.reasons.has('function')
    const { result, answered } =
      isChecked && selfCheck.isDue(statement)
        ? await this.#inTransaction(where, () => this.#check(statement, text, analysis, reading, where, run))
        : await run()
    binding.end(answered)
    return result
  }

  /** Runs the query, and compares what it really read with its analysis. */
  async #check<Result>(
    statement: string,
    text: string,
    analysis: Analysis,
    reading: Reading,
    where: Where,
    run: Run<Result>,
  ): ReturnType<Run<Result>> {
    // What the loader's own transaction read before it holds until its end.
    const before = where === 'in-transaction' ? await askTouched(this.ask) : []
    const answer = await run()
    const touched = (await askTouched(this.ask)).filter(({ oid }) => !before.some((each) => each.oid === oid))
    const missing = this.#reader.selfCheck.judge(statement, analysis, touched)
    reading.checked(missing.length === 0)
    if (missing.length > 0) {
      reading.unkept('self-check')
      notifyMisread(
        reading,
        text,
        missing.map(({ table }) => table),
      )
    }
    return answer
  }

  /** Locks are held to the end of the transaction, so that there must be one. */
  async #inTransaction<Result>(where: Where, work: () => Promise<Result>): Promise<Result> {
    if (where !== 'alone') return work()
    await this.#query({ text: 'begin' })
    try {
      const result = await work()
      await this.#query({ text: 'commit' })
      return result
    } catch (error) {
      await Promise.resolve(this.#query({ text: 'rollback' })).catch(() => {})
      throw error
    }
  }

  /** Whether it is as the pool's own set-up left it. For a declared session also what can't be asked for counts. */
  #isClean(hasSession: boolean): boolean {
    return this.#facts!.settings === this.#reader.settings && !(hasSession && this.#isTouched)
  }

  /** Asks anew what may have changed: before a session is declared, which changes it on purpose. */
  async look(): Promise<void> {
    if (!this.isSuspect) return
    this.#isSuspect = false
    this.#facts = await this.#ask()
  }

  #ask(): Promise<ConnectionFacts> {
    return askFacts(this.ask)
  }

  /** Tells the fill where it reads; of a standby, resolves with the position that it has replayed. */
  #place(reading: Reading): Promise<number> | undefined {
    const server = this.#reader.followed?.server
    // Until it is known what is followed, nothing is kept anyway.
    if (!server || !this.#facts) return undefined
    switch (whereTo(this.#facts, server)) {
      case 'followed':
        return undefined
      case 'elsewhere':
        reading.unkept('elsewhere')
        return undefined
      case 'standby':
        return this.#replayed(reading)
    }
  }

  async #replayed(reading: Reading): Promise<number> {
    const replayed = await askReplayed(this.ask)
    if (replayed === undefined) reading.unkept('replica')
    else reading.readAsOf(replayed)
    return replayed ?? -1
  }

  /** What of the connection decides what names mean: one text while that is the same, so that it is hashed once. */
  #variantOf(session: Session | undefined): string {
    const settings = this.#facts!.settings
    if (session) return JSON.stringify([settings, namingOf(session)])
    if (this.#variant?.settings !== settings) this.#variant = { settings, text: JSON.stringify([settings]) }
    return this.#variant.text
  }
}

/**
 * What of a session decides what names mean. Settings of applications (`app.tenant`) are to a statement what parameters are: the analysis
 * of one tenant is that of all, however many they are.
 */
function namingOf({ settings = {}, ...rest }: Session): object {
  return { ...rest, settings: Object.entries(settings).filter(([name]) => !name.includes('.')) }
}

/** Leaves values as PostgreSQL's text. */
export const TEXT = { getTypeParser: () => (text: string) => text }
