import { type Analysis, analyse, unread, unreadReason } from './analyse.js'
import { type Behind, behindOf, NOTHING, namesIn, namesInside } from './behind.js'
import { type Ask, type Facts, loadFacts } from './catalogue.js'
import type { Description } from './describe.js'
import type { FunctionFact } from './function-facts.js'
import { type Mentions, mentionsOf } from './mentions.js'
import { loadParser, parseSql } from './parse.js'

/** The connection that will run the statement: what names mean depends on it. */
export interface Server {
  ask: Ask
  describe(text: string): Promise<Description>
}

const ANALYSES_MAX = 1_000
/** While a migration runs, what a name means may change between two questions. */
const TRIES = 3
/** Through so many functions that call each other a statement is looked into; if it is not at the end then, into none. */
const ROUNDS_MAX = 8

/** A text that was analysed, on connections where names mean the same. */
class Analysed {
  readonly variant: string
  readonly text: string
  /** Names it among all. */
  readonly statement: string
  readonly analysis: Analysis
  readonly version: number
  /** Who was used before whom. */
  usedAt = 0

  constructor(variant: string, text: string, analysis: Analysis, version: number) {
    this.variant = variant
    this.text = text
    this.statement = `${variant}\0${text}`
    this.analysis = analysis
    this.version = version
  }
}

/** Analyses texts with what the server knows of them, once for each state of the catalogue. */
export class Analyst {
  readonly #version: () => number
  /** By variant and text: neither is put together, and hashed, for a look. */
  readonly #analyses = new Map<string, Map<string, Analysed>>()
  #size = 0
  #uses = 0

  /** @param version  a number that changes when anything in the catalogue may have changed */
  constructor(version: () => number) {
    this.#version = version
  }

  /** What is remembered, if that is of now. */
  known(text: string, variant: string): Pick<Analysed, 'analysis' | 'statement'> | undefined {
    const known = this.#analyses.get(variant)?.get(text)
    if (known?.version !== this.#version()) return undefined
    known.usedAt = ++this.#uses
    return known
  }

  /**
   * @param variant  what else decides what names mean: search path, role
   * @param isCurrent  whether the server shows the catalogue of this version; if not, the analysis is not remembered
   * @throws SqlError (`TIDEMARK_SQL`) if the text is not SQL; else what the server throws
   */
  async analyse(
    text: string,
    variant: string,
    server: Server,
    isCurrent = true,
  ): Promise<Pick<Analysed, 'analysis' | 'statement'>> {
    const known = this.known(text, variant)
    if (known) return known
    await loadParser()
    const version = this.#version()
    const analysed = new Analysed(variant, text, await analyseOn(text, server), version)
    // What was asked while the catalogue changed may be of before.
    if (isCurrent && version === this.#version()) this.#remember(analysed)
    return analysed
  }

  #remember(analysed: Analysed): void {
    const { variant, text } = analysed
    let texts = this.#analyses.get(variant)
    if (!texts) {
      texts = new Map()
      this.#analyses.set(variant, texts)
    }
    if (!texts.has(text) && this.#size++ >= ANALYSES_MAX) this.#forgetOne()
    analysed.usedAt = ++this.#uses
    texts.set(text, analysed)
  }

  /** The one that was not used for longest: looked for among all, as a new text costs a thousand times as much anyway. */
  #forgetOne(): void {
    let oldest: Analysed | undefined
    for (const texts of this.#analyses.values())
      for (const each of texts.values()) if (!oldest || each.usedAt < oldest.usedAt) oldest = each
    if (!oldest) return
    const texts = this.#analyses.get(oldest.variant)!
    texts.delete(oldest.text)
    if (texts.size === 0) this.#analyses.delete(oldest.variant)
    this.#size--
  }
}

async function analyseOn(text: string, server: Server): Promise<Analysis> {
  const parsed = parseSql(text)
  if ('tooDeep' in parsed) return unread('not-understood')
  try {
    const mentions = mentionsOf(parsed.statements)
    const reason = unreadReason(parsed.statements, mentions)
    if (reason) return unread(reason)
    const { parameterTypes } = await server.describe(text)
    for (let i = 0; i < TRIES; i++) {
      const { facts, behind } = await factsOf(mentions, parameterTypes, server.ask)
      const analysis = analyse({ statement: parsed.statements[0]!, text, mentions, behind, facts, parameterTypes })
      if (analysis !== 'torn') return analysis
    }
    return unread('not-understood')
  } catch (error) {
    // The tree was parsed, but is deeper than the walk through it may go.
    if (error instanceof RangeError) return unread('not-understood')
    throw error
  }
}

/**
 * Each answer may name what only the next can tell of: views, and functions that call others. So it asks until nothing new is named.
 */
async function factsOf(
  mentions: Mentions,
  parameterTypes: readonly number[],
  ask: Ask,
): Promise<{ facts: Facts; behind: Behind }> {
  let behind = NOTHING
  for (let round = 0; ; round++) {
    const question = {
      names: namesIn(mentions, behind),
      inside: namesInside(behind),
      mentions: [mentions, ...behind.views, ...behind.policies, ...behind.bodies],
      trusted: behind.trusted,
      parameterTypes,
    }
    const answered = await loadFacts(ask, question)
    const facts = round < ROUNDS_MAX ? answered : { ...answered, functions: answered.functions.map(unopened) }
    const next = behindOf(mentions, facts)
    if (next.key === behind.key || round > ROUNDS_MAX) return { facts, behind: next }
    behind = next
  }
}

function unopened(fact: FunctionFact): FunctionFact {
  return fact.code ? { ...fact, code: { ...fact.code, obstacle: 'which is called too deep', definition: null } } : fact
}
