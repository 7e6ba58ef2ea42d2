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

/** Analyses texts with what the server knows of them, once for each state of the catalogue. */
export class Analyst {
  readonly #version: () => number
  /** Oldest use first. */
  readonly #analyses = new Map<string, { readonly version: number; readonly analysis: Analysis }>()

  /** @param version  a number that changes when anything in the catalogue may have changed */
  constructor(version: () => number) {
    this.#version = version
  }

  /**
   * @param variant  what else decides what names mean: search path, role
   * @param isCurrent  whether the server shows the catalogue of this version; if not, the analysis is not remembered
   * @throws SqlError (`TIDEMARK_SQL`) if the text is not SQL; else what the server throws
   */
  async analyse(text: string, variant: string, server: Server, isCurrent = true): Promise<Analysis> {
    await loadParser()
    const key = `${variant}\0${text}`
    const version = this.#version()
    const known = this.#analyses.get(key)
    if (known) this.#analyses.delete(key)
    if (known?.version === version) {
      this.#analyses.set(key, known)
      return known.analysis
    }
    const analysis = await analyseOn(text, server)
    // What was asked while the catalogue changed may be of before.
    if (isCurrent && version === this.#version()) {
      if (this.#analyses.size >= ANALYSES_MAX) this.#analyses.delete(this.#analyses.keys().next().value!)
      this.#analyses.set(key, { version, analysis })
    }
    return analysis
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
