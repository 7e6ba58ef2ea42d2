import type { Dependency, NotKept, Reading, Session } from 'tidemark'
import { expect, it } from 'vitest'
import type { FollowedTable } from '../wal/tables.js'
import type { Analysis, RowRead } from './analyse.js'
import type { Answered } from './answered.js'
import { Binding, type FollowedTables } from './bind.js'
import type { Bounds, Choice } from './bounds.js'
import type { Column, Relation } from './catalogue.js'

const column = (name: string, number: number, type = 20): Column => ({
  number,
  name,
  type,
  modifier: -1,
  kind: 'b',
  labels: null,
  arrayType: 0,
  collation: 0,
  isDeterministic: true,
  isGenerated: false,
  isBytewise: false,
  isFolded: false,
  hasOwnEquality: false,
  hasOwnOrder: false,
})
const ID = column('id', 1)
const AUTHOR = column('author_id', 2)
const STATUS = column('status', 3, 25)

const POSTS: Relation = {
  oid: 16_400,
  table: 'public.posts',
  kind: 'r',
  persistence: 'p',
  isSystem: false,
  isReadable: true,
  isRowSecured: false,
  hasPolicies: false,
  policyColumns: [],
  via: ['query'],
  columns: [ID, AUTHOR, STATUS],
  keys: ['id'],
  isSmall: false,
  definitions: [],
}
const parameter = (number: number): Choice => ({
  kind: 'in',
  values: [{ parameter: number, cast: undefined }],
  takesNull: false,
})

function analysis(ways: RowRead['ways'], over: Partial<Analysis> & Partial<RowRead> = {}): Analysis {
  return {
    isRead: true,
    rows: [
      {
        ...{
          relation: POSTS,
          ways,
          hidden: over.hidden,
          isGrowing: false,
          uncut: undefined,
          isAll: false,
          isExact: true,
          places: undefined,
          tested: undefined,
          partners: undefined,
          spine: undefined,
          twins: undefined,
        },
        reads: over.columns?.get(POSTS.oid),
        unordered: over.columns?.get(POSTS.oid),
        decides: undefined,
      },
    ],
    tables: [],
    columns: new Map(),
    isVersionRead: false,
    views: [],
    functions: [],
    unfollowable: [],
    reasons: new Map(),
    parameterTypes: [20, 20],
    momentParameters: [],
    ...over,
  }
}

/** The tables that are followed, by their identity; a test may change them in between. */
class Tables implements FollowedTables {
  readonly wanted: string[] = []
  constructor(public identity: FollowedTable['identity'] | 'none' = 'default') {}
  followed(table: string): FollowedTable | undefined {
    const columns = this.identity === 'full' ? ['id', 'author_id', 'status'] : ['id']
    return this.identity === 'none' ? undefined : { table, identity: this.identity, columns }
  }
  want(table: string): void {
    this.wanted.push(table)
  }
}

class Told implements Reading {
  readonly signal = new AbortController().signal
  readonly tenant = ''
  readonly dependencies: Dependency[] = []
  readonly reasons: NotKept[] = []
  readonly expiry: NotKept[] = []
  readonly wider: string[] = []
  constructor(readonly session: Session | undefined = undefined) {}
  depend(dependency: Dependency): void {
    this.dependencies.push(dependency)
  }
  unkept(reason: NotKept): void {
    this.reasons.push(reason)
  }
  needsExpiry(reason: NotKept): void {
    this.expiry.push(reason)
  }
  readAsOf(): void {}
  readonly name = ''
  readonly isEnded = false
  checked(): void {}
  notice(): void {}
  coarse(table: string, reason: string): void {
    this.wider.push(`${table} ${reason}`)
  }
  get texts(): string[] {
    return this.dependencies.map((each) =>
      each.kind === 'rows' ? `${each.columns.join()}=${each.values.join()} ${each.old}` : each.kind,
    )
  }
}

const answer = (ids: unknown[], fields = [{ tableID: POSTS.oid, columnID: 1 }]): Answered => ({
  fields,
  rowCount: ids.length,
  cell: (row) => ids[row],
})

interface Setting {
  values?: unknown[]
  tables?: FollowedTables | undefined
  answered?: Answered | undefined
  membersMax?: number
  session?: Session
  between?: () => void
}

function told(subject: Analysis, setting: Setting = {}): Told {
  const reading = new Told(setting.session)
  const tables = 'tables' in setting ? setting.tables : new Tables()
  const binding = new Binding(subject, setting.values ?? [1, 2], reading, tables, {
    membersMax: setting.membersMax ?? 1_000,
    partnersMax: 100,
  })
  setting.between?.()
  binding.end('answered' in setting ? setting.answered : answer(['7', '8']))
  return reading
}

const byAuthor: Bounds[] = [[{ column: AUTHOR, choice: parameter(1) }]]

it('names the rows of the answer where the log does not tell what they were', () => {
  expect(told(analysis(byAuthor)).texts).toEqual(['author_id=1 ignored', 'id=7 coarse', 'id=8 coarse'])
  expect(told(analysis(byAuthor), { answered: answer([]) }).texts).toEqual(['author_id=1 ignored'])
})

it('needs no rows of the answer where the log tells', () => {
  expect(told(analysis(byAuthor), { tables: new Tables('full') }).texts).toEqual(['author_id=1 coarse'])
  const byId: Bounds[] = [[{ column: ID, choice: parameter(1) }]]
  expect(told(analysis(byId)).texts).toEqual(['id=1 coarse'])
})

it('depends on identity alone where that is bound, so that old values are always known', () => {
  const both: Bounds[] = [
    [
      { column: AUTHOR, choice: parameter(2) },
      { column: ID, choice: parameter(1) },
    ],
  ]
  expect(told(analysis(both)).texts).toEqual(['id=1 coarse'])
  expect(told(analysis(both), { tables: new Tables('full') }).texts).toEqual(['author_id,id=2,1 coarse'])
})

it('says why rows of the answer do not stand in for old values', () => {
  const coarse = (over: Parameters<typeof analysis>[1], setting: Setting = {}) => {
    const reading = told(analysis(byAuthor, over), setting)
    expect(reading.texts).toEqual(['author_id=1 coarse'])
    return reading.wider
  }
  expect(coarse({ hidden: 'aggregate' })).toEqual(['public.posts aggregate'])
  expect(coarse({}, { answered: undefined })).toEqual(['public.posts unseen'])
  expect(coarse({}, { answered: answer(['7', '8']), membersMax: 1 })).toEqual(['public.posts too-many-members'])
  expect(coarse({}, { answered: answer(['7'], [{ tableID: POSTS.oid, columnID: 2 }]) })).toEqual([
    'public.posts identity-not-selected',
  ])
  expect(coarse({}, { answered: answer(['7'], [{ tableID: 1, columnID: 1 }]) })).toEqual([
    'public.posts identity-not-selected',
  ])
  // What a parser of the application made of it may not be what is stored.
  expect(coarse({}, { answered: answer([9_007_199_254_740_992]) })).toEqual(['public.posts type'])
  expect(coarse({}, { answered: answer([{ id: 7 }]) })).toEqual(['public.posts type'])
})

it('widens to the table what it cannot tell', () => {
  const unseen = { answered: undefined }
  const widened = (values: unknown[]) => told(analysis(byAuthor), { values, ...unseen })
  for (const value of ['x', {}, new Date(), Buffer.from('1'), '0x1']) {
    expect(widened([value]).texts).toEqual(['table'])
    expect(widened([value]).wider).toEqual(['public.posts value'])
  }
  expect(told(analysis('condition'), unseen).texts).toEqual(['table'])
  expect(told(analysis('condition'), unseen).wider).toEqual(['public.posts condition'])
  // Of the rows that are not in the answer only those count that may come into it.
  expect(told(analysis('condition')).texts).toEqual(['= ignored', 'id=7 coarse', 'id=8 coarse'])
  expect(told(analysis('condition')).wider).toEqual(['public.posts condition'])
})

it('leaves out a column whose value it cannot tell, and keeps the others', () => {
  const both: Bounds[] = [
    [
      { column: AUTHOR, choice: parameter(1) },
      { column: STATUS, choice: parameter(2) },
    ],
  ]
  expect(told(analysis(both), { values: [{}, 'live'] }).texts[0]).toBe('status=live ignored')
})

it('takes lists apart, without the NULLs, up to a limit', () => {
  const any: Bounds[] = [[{ column: AUTHOR, choice: { kind: 'any', parameter: 1 } }]]
  expect(told(analysis(any), { values: [[3, null, 4, 3, [5]]], answered: answer([]) }).texts).toEqual([
    'author_id=3 ignored',
    'author_id=4 ignored',
    'author_id=5 ignored',
  ])
  const many = Array.from({ length: 1_001 }, (_, index) => index)
  expect(told(analysis(any), { values: [many] }).wider).toEqual(['public.posts too-many-values'])
  const two: Bounds[] = [
    [
      { column: AUTHOR, choice: { kind: 'any', parameter: 1 } },
      { column: STATUS, choice: parameter(2) },
    ],
  ]
  expect(told(analysis(two), { values: [many, 'live'], answered: answer([]) }).texts).toEqual(['status=live ignored'])
  // A text is not taken apart.
  expect(told(analysis(any), { values: ['{1,2}'] }).wider).toEqual(['public.posts value'])
})

it('depends on nothing that can happen where no row can match', () => {
  const any: Bounds[] = [[{ column: AUTHOR, choice: { kind: 'any', parameter: 1 } }]]
  const cases: [Bounds[], unknown[]][] = [
    [byAuthor, [null]],
    [any, [[]]],
  ]
  for (const [ways, values] of cases) {
    const { dependencies } = told(analysis(ways), { values, answered: answer([]) })
    expect(dependencies).toMatchObject([{ columns: [], also: [{ is: 'in', column: 'author_id', values: [] }] }])
  }
})

it('keeps nothing of a table that is not followed, and asks for it', () => {
  const tables = new Tables('none')
  expect(told(analysis(byAuthor), { tables }).reasons).toEqual(['unfollowed-table'])
  expect(tables.wanted).toEqual(['public.posts'])
})

it('keeps nothing of a table that came to be followed, or ceased to be, while it was read', () => {
  const coming = new Tables('none')
  const came = told(analysis(byAuthor), { tables: coming, between: () => (coming.identity = 'default') })
  expect(came.reasons).toEqual(['unfollowed-table'])
  const going = new Tables()
  const went = told(analysis(byAuthor), { tables: going, between: () => (going.identity = 'none') })
  expect(went.reasons).toEqual(['unfollowed-table'])
  expect(told(analysis(byAuthor)).reasons).toEqual([])
})

it('asks for no table that can never be followed', () => {
  const tables = new Tables('none')
  const subject = analysis('condition', { unfollowable: [POSTS] })
  expect(told(subject, { tables }).reasons).toEqual(['unfollowed-table'])
  expect(tables.wanted).toEqual([])
})

it('lets expiry decide where nothing is followed', () => {
  const reading = told(analysis(byAuthor, { unfollowable: [POSTS] }), { tables: undefined })
  expect(reading.reasons).toEqual([])
  expect(reading.wider).toEqual([])
  expect(reading.texts[0]).toMatch(/^author_id=1/)
})

it('counts a declared session, and only for what a session decides', () => {
  const names: NotKept[] = ['session', 'row-security', 'function', 'time', 'writes']
  const reasons = new Map(names.map((name) => [name, new Set<string>()]))
  expect(told(analysis(byAuthor, { reasons })).reasons).toEqual(['session', 'row-security', 'function', 'writes'])
  expect(told(analysis(byAuthor, { reasons }), { session: { role: 'a' } }).reasons).toEqual(['function', 'writes'])
  expect(told(analysis(byAuthor, { reasons })).expiry).toEqual(['time'])
})

it('asks for an expiry where a parameter may mean a moment', () => {
  const subject = analysis(byAuthor, { momentParameters: [2] })
  expect(told(subject, { values: [1, 'tomorrow'] }).expiry).toEqual(['time'])
  expect(told(subject, { values: [1, ['2020-01-01', 'NOW']] }).expiry).toEqual(['time'])
  expect(told(subject, { values: ['now', '2020-01-01'] }).expiry).toEqual([])
})
