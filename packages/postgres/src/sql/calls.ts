import type { FuncCall, Node, SelectStmt } from './ast.js'
import { as, walk } from './ast.js'
import { type Body, bodyOf, bodyOfCall, defaultsOf } from './body.js'
import type { Facts } from './catalogue.js'
import { mentionsOf } from './mentions.js'
import { parseSql } from './parse.js'
import { passTo } from './passing.js'
import type { Reads } from './reads.js'
import { resultOf } from './result.js'
import type { Level, SelectAnswer } from './scope.js'

/** What a call answers. */
interface Called {
  /** undefined: it can't be told. */
  readonly answer: SelectAnswer | undefined
  readonly isSet: boolean
  /** It answers one value. */
  readonly isValue: boolean
}

/** A statement is looked into through no more calls than this, and no more tables; what else it calls is read as a whole. */
const CALLS_MAX = 100
const OCCURRENCES_MAX = 200

/** The calls of functions of one's own, as the analysis comes to them. */
export class Calls {
  readonly #facts: Facts
  readonly #types: readonly number[]
  readonly #reads: Reads
  readonly #seen = new Set<object>()
  /** Bodies that are being looked into. */
  readonly #open: Body[] = []
  readonly #whole = new Set<Body>()
  #count = 0

  constructor(facts: Facts, types: readonly number[], reads: Reads) {
    this.#facts = facts
    this.#types = types
    this.#reads = reads
  }

  /**
   * Looks into what is called, if that can be done.
   *
   * @param look  reads the body, whose parameters are named at `level`
   */
  enter(
    node: FuncCall,
    level: Level | undefined,
    look: (body: Body, level: Level) => SelectAnswer,
  ): Called | undefined {
    const body = bodyOfCall(node, this.#facts)
    if (!body) return undefined
    const { isSet, isRow } = body.code
    const called = { isSet, isValue: !isSet && !isRow }
    this.#seen.add(node)
    this.#reads.bodies.set(body.statement, undefined)
    const isTooMuch = this.#count++ >= CALLS_MAX || this.#reads.next > OCCURRENCES_MAX
    if (isTooMuch || this.#open.includes(body)) {
      this.#addWhole(body)
      return { ...called, answer: undefined }
    }
    this.#addCallsOf(defaultsOf(body, node.args?.length ?? 0))
    const passing = passTo(body, node, level, this.#types)
    this.#open.push(body)
    const answer = look(body, passing.level)
    this.#open.pop()
    return { ...called, answer: passing.isCall ? resultOf(body, passing, answer) : undefined }
  }

  /** `select f($1)` as `select * from f($1)`, which answers the same. */
  inFrom(select: SelectStmt): SelectStmt {
    const { fromClause, whereClause, groupClause, havingClause, targetList, limitOffset } = select
    const target = targetList?.length === 1 ? as('ResTarget', targetList[0]) : undefined
    const call = as('FuncCall', target?.val)
    const isMore = fromClause ?? whereClause ?? groupClause ?? havingClause ?? limitOffset
    const body = call && !isMore ? bodyOfCall(call, this.#facts) : undefined
    if (!call || !body || body.code.isRow) return select
    const alias = target?.name === undefined ? {} : { alias: { aliasname: target.name } }
    const functions: Node[] = [{ List: { items: [{ FuncCall: call }, {} as Node] } }]
    const star: Node = { ResTarget: { val: { ColumnRef: { fields: [{ A_Star: {} }] } } } }
    return { ...select, fromClause: [{ RangeFunction: { functions, ...alias } }], targetList: [star] }
  }

  /** What is called where nobody looked is read as a whole. */
  addUnseen(statement: Node): void {
    walk(statement, (tag, content) => {
      const body =
        tag === 'FuncCall' && !this.#seen.has(content) ? bodyOfCall(content as FuncCall, this.#facts) : undefined
      if (body) this.#addWhole(body)
    })
  }

  /** The same in views, if there is one that was not looked into. */
  addHidden(): void {
    if (this.#reads.hasSeenViews) return
    for (const { kind, definitions } of this.#facts.relations) {
      for (const definition of kind === 'v' ? definitions : []) {
        const parsed = parseSql(definition)
        if (!('tooDeep' in parsed)) this.#addCallsOf(parsed.statements)
      }
    }
  }

  #addWhole(body: Body): void {
    if (this.#whole.has(body)) return
    this.#whole.add(body)
    this.#reads.addWhole(body.statement)
    this.#addCallsOf([body.statement, ...body.defaults.flatMap((each) => each ?? [])])
  }

  #addCallsOf(statements: readonly Node[]): void {
    for (const call of mentionsOf(statements).functions) {
      const body = bodyOf(call, this.#facts)
      if (body) this.#addWhole(body)
    }
  }
}
