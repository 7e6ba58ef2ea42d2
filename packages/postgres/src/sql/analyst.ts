import { type Analysis, analyse, unread, unreadReason } from './analyse.js'
import { type Ask, type Facts, loadFacts, type Relation } from './catalogue.js'
import type { Description } from './describe.js'
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
      const analysis = analyse({ statement: parsed.statements[0]!, mentions, behind, facts, parameterTypes })
      if (analysis !== 'torn') return analysis
    }
    return unread('not-understood')
  } catch (error) {
    // The tree was parsed, but is deeper than the walk through it may go.
    if (error instanceof RangeError) return unread('not-understood')
    throw error
  }
}

async function factsOf(
  mentions: Mentions,
  parameterTypes: readonly number[],
  ask: Ask,
): Promise<{ facts: Facts; behind: readonly Mentions[] }> {
  const facts = await loadFacts(ask, mentions.relations, [mentions], parameterTypes)
  const definitions = facts.relations.flatMap((relation) => relation.definitions)
  if (definitions.length === 0) return { facts, behind: [] }
  const behind = definitions.map(mentionsOfDefinition)
  const mentioned = behind.flatMap((each) => each.relations)
  // What the definitions call by which name; and the server's list of what a view reads leaves system relations out.
  const inside = await loadFacts(ask, mentioned, [mentions, ...behind], parameterTypes)
  const known = new Map(facts.relations.map((relation) => [relation.oid, relation]))
  const hidden: Relation[] = inside.relations
    .filter(({ oid }) => !known.has(oid))
    .map((relation) => ({ ...relation, via: ['view'] }))
  for (const relation of hidden) known.set(relation.oid, relation)
  const named = new Map([...inside.named].map(([name, { oid }]) => [name, known.get(oid)!]))
  for (const [name, relation] of facts.named) named.set(name, relation)
  return { facts: { ...inside, named, relations: [...facts.relations, ...hidden] }, behind }
}

function mentionsOfDefinition(definition: string): Mentions {
  const parsed = parseSql(definition)
  // Too deep to be looked into: caught with the statement's own depth.
  if ('tooDeep' in parsed) throw new RangeError('definition')
  return mentionsOf(parsed.statements)
}
