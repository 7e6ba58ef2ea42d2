import { type Body, bodyOf, defaultsOf } from './body.js'
import type { Facts } from './catalogue.js'
import { type Mentions, mentionsOf, type Name } from './mentions.js'
import { parseSql } from './parse.js'

/** What stands behind a statement: the definitions and functions that are read and run for it. */
export interface Behind {
  readonly views: readonly Mentions[]
  readonly policies: readonly Mentions[]
  /** Of functions that are looked into, and of arguments' defaults. */
  readonly bodies: readonly Mentions[]
  /** The same of functions that only IMMUTABLE ones call, and of those: what they do besides reading is their authors' word. */
  readonly trusted: readonly Mentions[]
  /** Equal for equal texts. */
  readonly key: string
}

export const NOTHING: Behind = { views: [], policies: [], bodies: [], trusted: [], key: '' }

/** @throws RangeError if a definition is too deep to be looked into */
export function behindOf(statement: Mentions, facts: Facts): Behind {
  const texts = (isView: boolean): string[] =>
    facts.relations.flatMap(({ kind, definitions }) => ((kind === 'v') === isView ? definitions : []))
  const [views, policies] = [texts(true), texts(false)]
  const mentioned = views.map(mentionsOfDefinition)
  const found = new Found(facts)
  for (const mentions of [statement, ...mentioned]) found.follow(mentions, false)
  const definitions = [...found.bodies].map(({ code }) => code.definition ?? '').sort()
  return {
    views: mentioned,
    policies: policies.map(mentionsOfDefinition),
    bodies: found.untrusted,
    trusted: [...found.bodies].flatMap((body) => (found.answering.has(body) ? [] : body.mentions)),
    key: [...views, ...policies, ...definitions].join('\0'),
  }
}

/** Names that the statement, and what it calls, mean. */
export function namesIn(statement: Mentions, { bodies, trusted }: Behind): Name[] {
  return [statement, ...bodies, ...trusted].flatMap(({ relations }) => relations)
}

/** Names in the definitions of views and policies. */
export function namesInside({ views, policies }: Behind): Name[] {
  return [...views, ...policies].flatMap(({ relations }) => relations)
}

class Found {
  readonly bodies = new Set<Body>()
  /** Those whose calls are not made on an IMMUTABLE function's word alone. */
  readonly answering = new Set<Body>()
  readonly untrusted: Mentions[] = []
  readonly #facts: Facts

  constructor(facts: Facts) {
    this.#facts = facts
  }

  follow({ functions }: Mentions, isTrusted: boolean): void {
    for (const call of functions) {
      const body = bodyOf(call, this.#facts)
      if (!body) continue
      const defaults = defaultsOf(body, call.args ?? 0)
      if (defaults.length > 0) this.#add(mentionsOf(defaults), isTrusted)
      const isWord = isTrusted || body.fact.volatility === 'i'
      const known = isWord ? this.bodies : this.answering
      if (known.has(body)) continue
      this.bodies.add(body)
      if (!isWord) this.answering.add(body)
      this.#add(body.mentions, isWord)
    }
  }

  #add(mentions: Mentions, isTrusted: boolean): void {
    if (!isTrusted) this.untrusted.push(mentions)
    this.follow(mentions, isTrusted)
  }
}

function mentionsOfDefinition(definition: string): Mentions {
  const parsed = parseSql(definition)
  if ('tooDeep' in parsed) throw new RangeError('definition')
  return mentionsOf(parsed.statements)
}
