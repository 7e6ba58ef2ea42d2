import type { NotKept } from 'tidemark'
import type { Asked } from './asked.js'
import type { A_Const, Node } from './ast.js'
import { as } from './ast.js'
import type { Behind } from './behind.js'
import { type Bounded, type Bounds, boundsOf, isAlwaysThere, type Unbound } from './bounds.js'
import type { Facts, Relation } from './catalogue.js'
import { type ColumnsRead, columnsRead } from './columns-read.js'
import type { Formula } from './conditions.js'
import type { FunctionFact } from './function-facts.js'
import { codeReasons, mayNameMoment } from './functions.js'
import type { Mentions } from './mentions.js'
import { withTypes } from './named-types.js'
import type { Coarse, Reads } from './reads.js'
import type { Testing } from './row-test.js'
import type { TableOccurrence } from './scope.js'
import { readsOf } from './select.js'
import { placesOfSets } from './sets.js'
import { type TwinRead, twinReadOf } from './twins.js'

/** A place where a table is read row by row. */
export interface RowRead {
  readonly relation: Relation
  /** The ways in which a row can matter; or why every row can. */
  readonly ways: readonly Bounds[] | Unbound
  /** Why every row can where no LIMIT is reached; undefined if something else bounds each way. */
  readonly uncut: Unbound | undefined
  /** Why rows that left can't be told from the answer; undefined if the answer shows each row that matters. */
  readonly hidden: Coarse | undefined
  /** A row that leaves brings none into an answer that has none. */
  readonly isGrowing: boolean
  /**
   * Where the answer shows its columns, by their numbers; undefined where its table is read once, so that the answer's own description tells.
   */
  readonly places: ReadonlyMap<number, number> | undefined
  /** What asks for the rows of it that the answer is made of; undefined if the answer shows them, or that can't be asked. */
  readonly spine: SpineRead | undefined
  /** What asks for rows beside which others that are alike do not matter; undefined if each matters. */
  readonly twins: TwinRead | undefined
  /** Its ways name no row that does not matter, as far as the row alone tells. */
  readonly isExact: boolean
  /** What more decides whether a row counts; undefined if nothing does that is worth it. */
  readonly tested: Tested | undefined
  /** What must be there beside a row: as of Bounded. */
  readonly partners: Bounded['partners']
  /** No condition says which rows are read: then nothing is wider than the statement. */
  readonly isAll: boolean
  /** The columns that are read of it here; undefined: all, or that is not known. */
  readonly reads: readonly string[] | undefined
  /** Those of them that matter to an answer of one row, which has no order. */
  readonly unordered: readonly string[] | undefined
  /** Those that decide which rows the answer has: the others it only shows. */
  readonly decides: readonly string[] | undefined
}

/** A query that asks for rows by their keys. */
export interface SpineRead {
  readonly asked: Asked
  /** Where the key begins in a line of its answer. */
  readonly at: number
  /** The columns that decide which rows these are; `tested`: beside tests. */
  readonly decides: { readonly untested: readonly string[] | undefined; readonly tested: readonly string[] | undefined }
}

/** A place where a table is read as a whole. */
export interface TableRead {
  readonly relation: Relation
  /** Why it is; undefined where the statement itself does so. */
  readonly reason: Coarse | undefined
  /** As of a RowRead. */
  readonly reads: readonly string[] | undefined
  readonly twins: TwinRead | undefined
}

/** Conditions of rows that are tested: then the columns that only they name need not be read. */
export interface Tested {
  readonly testings: readonly Testing[]
  /** Nothing else is written of any row. */
  readonly isWhole: boolean
  /** NULLs may stand in the row's place, and must not meet them. */
  readonly isNullable: boolean
  /** As of the RowRead. */
  readonly reads: readonly string[] | undefined
  readonly unordered: readonly string[] | undefined
  readonly decides: readonly string[] | undefined
}

/** What a statement reads, and what else decides its answer. */
export interface Analysis {
  /** A single SELECT that changes nothing. */
  readonly isRead: boolean
  readonly rows: readonly RowRead[]
  readonly tables: readonly TableRead[]
  /** By the table's OID, the columns of it that are read anywhere; of a table that is missing, all. */
  readonly columns: ReadonlyMap<number, readonly string[]>
  /** An update matters though it changes no column: system columns are read, or generated ones. */
  readonly isVersionRead: boolean
  /** Views that it reads through: their definitions matter, and what these read. */
  readonly views: readonly string[]
  /** Functions that it may call, and that are not IMMUTABLE (`public.posts_of()`), and tables that name their columns: these definitions matter too. */
  readonly functions: readonly string[]
  /** Relations that send no changes whatever is done: views are followed through, these are not. */
  readonly unfollowable: readonly Relation[]
  /**
   * Why the answer is not kept, and by what in the statement, or behind it, that shows: functions, tables. `time` and `session` count
   * only where no expiry or session is declared.
   */
  readonly reasons: ReadonlyMap<NotKept, ReadonlySet<string>>
  readonly parameterTypes: readonly number[]
  /** Parameters (from 1) whose value may be 'now'. */
  readonly momentParameters: readonly number[]
}

/** What the analysis goes by: the statement, and what the server says of it. */
export interface Material {
  readonly statement: Node
  readonly text: string
  readonly mentions: Mentions
  /** What views, policies and functions mention. */
  readonly behind: Behind
  readonly facts: Facts
  readonly parameterTypes: readonly number[]
}

/** The analysis of a text that is no single SELECT, or can't be looked into. */
export function unread(reason: Extract<NotKept, 'writes' | 'not-understood'>): Analysis {
  const reasons = new Map([[reason, new Set<string>()]])
  return {
    ...{
      isRead: false,
      rows: [],
      tables: [],
      columns: new Map(),
      isVersionRead: true,
      views: [],
      functions: [],
      unfollowable: [],
      reasons,
    },
    ...{ parameterTypes: [], momentParameters: [] },
  }
}

/** Why a statement need not be looked into: it is none, several, too deep, or does not only read. */
export function unreadReason(statements: readonly Node[], mentions: Mentions): 'writes' | 'not-understood' | undefined {
  if (mentions.hasWrites) return 'writes'
  return statements.length === 1 && as('SelectStmt', statements[0]) ? undefined : 'not-understood'
}

/**
 * Says which rows and tables a SELECT depends on. Pure: all that it must know of the server is in `material`.
 *
 * Whatever it does not understand is read as a whole, with a reason; nothing that the statement mentions, or that stands behind
 * a view or a policy, is left out.
 *
 * @returns `torn` if a table that it names is not among the facts: the server accepted the statement, so the catalogue changed meanwhile
 */
export function analyse(material: Material): Analysis | 'torn' {
  const { mentions, behind, facts, parameterTypes } = material
  const statement = withTypes(material.statement, facts.types)
  const types = parameterTypes.map((type) => facts.bases.get(type) ?? type)
  const reads = readsOf(statement, material.text, facts, types)
  if (reads.isTorn) return 'torn'
  const bodies = [...reads.bodies].map(([body, of]) => ({ statement: body, of }))
  const columns = columnsRead(statement, bodies, reads.wholeBodies, facts, (relation) => reads.hasSeen(relation))
  const sets = placesOfSets(statement, facts)
  const rows = reads.occurrences.map(({ occurrence, given }): RowRead => {
    const { testings, isTested, ...bounded } = boundsOf(occurrence, given, types)
    const read = {
      relation: occurrence.relation,
      ...bounded,
      ...shownOf(occurrence, reads, types),
      isGrowing: occurrence.isGrowing && !occurrence.isNullable,
      isAll: isNone(given) && occurrence.formulas.every(isNone),
      reads: columns.at(occurrence.relation, occurrence.place),
      unordered: columns.unordered(occurrence.relation, occurrence.place),
      decides: columns.deciding(occurrence.relation, occurrence.place),
    }
    const isUsable = testings.length > 0 && facts.isCatalogFirst
    const tested = isUsable ? testedOf(occurrence, read, testings, isTested, columns) : undefined
    const twins = sets.has(occurrence.place) && !columns.isVersionRead ? twinReadOf(read) : undefined
    return { ...read, tested, spine: spineOf(occurrence, read, tested, reads, columns), twins }
  })
  const tables: TableRead[] = [
    ...reads.whole.map(({ relation, reason, place }) => ({
      ...{ relation, reason, reads: columns.at(relation, place) },
      twins: undefined,
    })),
    ...rows.filter(isWhole).map(({ relation, reads, twins }) => ({ relation, reason: undefined, reads, twins })),
    ...facts.relations.flatMap((relation) => hiddenReads(relation, reads)),
  ]
  const reasons = reasonsOf(mentions, behind, facts)
  const hidden = [...behind.views, ...behind.policies, ...behind.bodies]
  const hasMoment = dependsOnMoment(mentions, reads) || hidden.some((each) => each.momentConstants.size > 0)
  if (hasMoment) reasons.set('time', (reasons.get('time') ?? new Set()).add("a constant such as 'now'"))
  // A parameter may be passed on to what casts it.
  const casts = [mentions, ...behind.bodies].flatMap((each) => each.types)
  return {
    isRead: true,
    rows: rows.filter((row) => !isWhole(row)),
    tables: tables.filter(({ relation }) => relation.kind !== 'v' || relation.isSystem),
    columns: new Map(
      facts.relations.flatMap((relation) => {
        const read = columns.of(relation)
        return read ? [[relation.oid, read]] : []
      }),
    ),
    isVersionRead: columns.isVersionRead,
    views: facts.relations.filter(({ kind, isSystem }) => kind === 'v' && !isSystem).map(({ table }) => table),
    functions: [...new Set(facts.functions.flatMap((each) => definedBy(each, facts)))],
    unfollowable: facts.relations.filter((relation) => !canBeFollowed(relation)),
    reasons,
    parameterTypes,
    momentParameters: types.flatMap((type, index) => (mayNameMoment(type, casts, facts.types) ? [index + 1] : [])),
  }
}

/** Worth it where the bounds name more rows, or where an update of what only the conditions name would count. */
function testedOf(
  { relation, place, isNullable }: TableOccurrence,
  { isExact, reads }: Pick<RowRead, 'isExact' | 'reads'>,
  testings: readonly Testing[],
  isWhole: boolean,
  columns: ColumnsRead,
): Tested | undefined {
  const named = new Set<object>(testings.flatMap((each) => [...each.references]))
  const fewer = columns.at(relation, place, named)
  if (isExact && reads?.length === fewer?.length) return undefined
  return {
    ...{ testings, isWhole, isNullable, reads: fewer },
    unordered: columns.unordered(relation, place, named),
    decides: columns.deciding(relation, place, named),
  }
}

/** Worth it where its bounds may name rows that are not in the answer. */
function spineOf(
  occurrence: TableOccurrence,
  { hidden, isExact, isAll }: Pick<RowRead, 'hidden' | 'isExact' | 'isAll'>,
  tested: Tested | undefined,
  reads: Reads,
  columns: ColumnsRead,
): SpineRead | undefined {
  const { relation, place } = occurrence
  const shown = reads.placesOf(occurrence)
  const isShown =
    !hidden && relation.columns.every(({ name, number }) => !relation.keys.includes(name) || shown.has(number))
  const isAlone = reads.occurrences.length + reads.whole.length === 1
  const asked = isShown || isAll || (isExact && isAlone) ? undefined : occurrence.spine?.()
  const at = asked?.places.get(occurrence)
  if (!asked || at === undefined) return undefined
  const named = (tested?.testings ?? []).flatMap((each) => [...each.references])
  const decides = {
    untested: columns.at(relation, place, asked.besides),
    tested: columns.at(relation, place, new Set([...asked.besides, ...named])),
  }
  return { asked, at, decides }
}

/** Whether the answer tells its rows. */
function shownOf(
  occurrence: TableOccurrence,
  reads: Reads,
  types: readonly number[],
): Pick<RowRead, 'hidden' | 'places'> {
  const isInner = occurrence.hidden === 'outer-join' && isAlwaysThere(occurrence, reads.holds, types)
  const hidden = isInner ? undefined : occurrence.hidden
  if (!isRepeated(occurrence.relation, reads)) return { hidden, places: undefined }
  const { keys, columns } = occurrence.relation
  const places = reads.placesOf(occurrence)
  const isTold = keys.length > 0 && columns.every(({ name, number }) => !keys.includes(name) || places.has(number))
  return { hidden: hidden ?? (isTold ? undefined : 'self-join'), places }
}

/** The function, and the table whose rows it says that it answers: the statement reads that as a rule, then it depends on it anyway. */
function definedBy({ called, code, volatility }: FunctionFact, { relations }: Facts): string[] {
  if (!code) return []
  const { rowsOf } = code
  const isRead = rowsOf === null || relations.some(({ table }) => table === rowsOf)
  return [...(volatility === 'i' ? [] : [called]), ...(isRead ? [] : [rowsOf])]
}

function reasonsOf(mentions: Mentions, behind: Behind, facts: Facts): Map<NotKept, Set<string>> {
  const reasons = new Map<NotKept, Set<string>>()
  const secured = facts.relations.filter(isSecured).map(({ table }) => table)
  if (secured.length > 0) reasons.set('row-security', new Set(secured))
  const add = (each: Mentions, isLookedInto: boolean): void => {
    for (const [reason, found] of codeReasons(each, facts, isLookedInto))
      reasons.set(reason, new Set([...(reasons.get(reason) ?? []), ...found]))
  }
  for (const each of [mentions, ...behind.views, ...behind.bodies]) add(each, true)
  for (const each of behind.policies) add(each, false)
  return reasons
}

/** All of the table is read, and no LIMIT may leave out some of it. */
function isWhole({ isAll, ways }: RowRead): boolean {
  return isAll && typeof ways === 'string'
}

/** What is read behind the query's back. */
function hiddenReads(relation: Relation, reads: Reads): TableRead[] {
  const isSeen = (via: Relation['via'][number]) => via === 'query' || (via === 'view' && reads.hasSeen(relation))
  return relation.via.flatMap((via) =>
    isSeen(via) ? [] : [{ relation, reason: via as Coarse, reads: undefined, twins: undefined }],
  )
}

/** The answer's columns name their table, not the place in FROM: of a table that is read twice that alone proves nothing. */
function isRepeated(relation: Relation, reads: Reads): boolean {
  const times = reads.occurrences.filter(({ occurrence }) => occurrence.relation.oid === relation.oid).length
  return times > 1 || reads.whole.some((each) => each.relation.oid === relation.oid)
}

/** A view reads as its owner, whose policies are not ours to ask for: any policy counts there. */
function isSecured(relation: Relation): boolean {
  return relation.isRowSecured || (relation.hasPolicies && relation.via.some((via) => via !== 'query'))
}

/** Whether changes of it are in the log, once it is published. */
export function canBeFollowed({ kind, persistence, isSystem }: Relation): boolean {
  if (isSystem || persistence === 't') return false
  return kind === 'v' || ((kind === 'r' || kind === 'p') && persistence === 'p')
}

/** A constant like 'now' depends on time, unless it is only compared with text. */
function dependsOnMoment(mentions: Mentions, reads: Reads): boolean {
  if (mentions.momentConstants.size === 0) return false
  const texts = new Set<A_Const>()
  for (const { occurrence } of reads.occurrences)
    for (const formula of occurrence.formulas) collectTexts(formula, texts)
  for (const constant of mentions.momentConstants) if (!texts.has(constant)) return true
  return false
}

function collectTexts(formula: Formula, texts: Set<A_Const>): void {
  if (formula.kind === 'and' || formula.kind === 'or') for (const part of formula.parts) collectTexts(part, texts)
  if (formula.kind !== 'in' && formula.kind !== 'not-in') return
  const { type, kind } = formula.column.column
  const isText = kind === 'e' || !mayNameMoment(type, [], new Map())
  for (const value of formula.values)
    if (isText && 'node' in value && value.node && value.type === 0) texts.add(value.node)
}

/** No condition at all, rather than one that is not understood. */
function isNone(formula: Formula): boolean {
  // That a subquery's column is named says nothing of it.
  if (formula.kind === 'same' && formula.isName) return true
  if (['if', 'cut', 'there', 'written'].includes(formula.kind)) return true
  return formula.kind === 'and' && formula.parts.every(isNone)
}
