import { readFileSync } from 'node:fs'
import { PrismaPg } from '@prisma/adapter-pg'
import { getPrismaClient } from '@prisma/client/runtime/client'
import type { Pool } from 'pg'
import type { CorpusQuery } from './schema.js'

// These have no types: named by variables they need none.
const COMPILER: string = '@prisma/client/runtime/query_compiler_fast_bg.postgresql.mjs'
const COMPILER_CODE: string = '@prisma/client/runtime/query_compiler_fast_bg.postgresql.wasm-base64.mjs'

type Arguments = Readonly<Record<string, unknown>>

interface Model {
  findUnique(args: Arguments): Promise<unknown>
  findFirst(args: Arguments): Promise<unknown>
  findMany(args?: Arguments): Promise<unknown[]>
  count(args?: Arguments): Promise<number>
  aggregate(args: Arguments): Promise<unknown>
  groupBy(args: Arguments): Promise<unknown[]>
  create(args: Arguments): Promise<unknown>
}

/** The part of Prisma's client that is used here. Its full types are generated, and long. */
export interface PrismaDatabase {
  readonly author: Model
  readonly post: Model
  readonly comment: Model
  readonly tag: Model
  readonly postTag: Model
  $queryRawUnsafe(text: string, ...values: unknown[]): Promise<unknown>
  $transaction<Result>(work: (tx: PrismaDatabase) => Promise<Result>): Promise<Result>
  $disconnect(): Promise<void>
}

/**
 * Prisma's own client and query compiler, on a pool. What `prisma generate` (7.10.0) made of prisma-schema.prisma stands in
 * prisma-client.json; it is put together here as the generated class does it.
 */
export function openPrisma(pool: Pool): PrismaDatabase {
  const generated = JSON.parse(readFileSync(new URL('prisma-client.json', import.meta.url), 'utf8'))
  const Client = getPrismaClient({
    previewFeatures: ['relationJoins'],
    activeProvider: 'postgresql',
    ...generated,
    compilerWasm: {
      getRuntime: () => import(COMPILER),
      getQueryCompilerWasmModule: async () => {
        const { wasm } = await import(COMPILER_CODE)
        return new WebAssembly.Module(Buffer.from(wasm, 'base64'))
      },
      importName: './query_compiler_fast_bg.js',
    },
  }) as unknown as new (
    options: object,
  ) => PrismaDatabase
  return new Client({ adapter: new PrismaPg(pool as never) })
}

const moment = new Date('2026-01-02T03:04:05.678Z')

const FILTERS: Record<string, Arguments> = {
  'eq id': { id: 7 },
  'eq text': { slug: 'post-7' },
  'eq two': { authorId: 3, status: 'live' },
  'eq boolean': { authorId: 3, isPinned: true },
  'not boolean': { authorId: 3, isPinned: { not: true } },
  'eq decimal': { rating: '2.50' },
  'eq timestamp': { createdAt: moment },
  in: { id: { in: [1, 2, 3] } },
  'in one': { id: { in: [1] } },
  'in texts': { status: { in: ['live', 'draft'] } },
  'in and range': { authorId: { in: [1, 2] }, views: { gt: 50 } },
  'not in': { status: { notIn: ['gone'] } },
  gt: { views: { gt: 300 } },
  gte: { views: { gte: 300 } },
  'lt date': { createdAt: { lt: moment } },
  between: { views: { gte: 100, lte: 200 } },
  not: { status: { not: 'gone' } },
  NOT: { NOT: { status: 'gone' } },
  'is null': { publishedAt: null },
  'is not null': { publishedAt: { not: null } },
  'null and author': { authorId: 2, publishedAt: null },
  OR: { OR: [{ id: 1 }, { slug: 'post-2' }] },
  'OR of AND': {
    OR: [
      { authorId: 1, status: 'live' },
      { authorId: 2, views: { gt: 10 } },
    ],
  },
  'OR open': { OR: [{ authorId: 1 }, { views: { gt: 390 } }] },
  'NOT OR': { NOT: { OR: [{ status: 'gone' }, { status: 'draft' }] } },
  startsWith: { title: { startsWith: 'Post 1' } },
  endsWith: { title: { endsWith: '1' } },
  contains: { title: { contains: '1' } },
  insensitive: { title: { equals: 'post 1', mode: 'insensitive' } },
  'startsWith insensitive': { title: { startsWith: 'post 1', mode: 'insensitive' } },
  'json path': { meta: { path: ['lang'], equals: 'en' } },
  keyset: { authorId: 3, id: { lt: 30 } },
  'keyset or': { OR: [{ createdAt: { lt: moment } }, { createdAt: moment, id: { lt: 30 } }] },
  'to one is': { author: { is: { country: 'NO' } } },
  'to one': { author: { email: 'a3@example.org' } },
  'to one is not': { author: { isNot: { country: 'NO' } } },
  some: { comments: { some: { authorId: 2 } } },
  'some and author': { authorId: 3, comments: { some: { isApproved: true } } },
  every: { authorId: 3, comments: { every: { isApproved: true } } },
  none: { authorId: 3, comments: { none: {} } },
  'some through a join table': { tags: { some: { tag: { name: 'tag1' } } } },
  'nested some': { comments: { some: { author: { country: 'FR' } } } },
  everything: {},
}

/** What Prisma writes, with joins (`relationJoins`) and with a query for each relation. */
export function prismaQueries(db: PrismaDatabase): CorpusQuery[] {
  const found: CorpusQuery[] = []
  const add: Add = (name, run) => {
    found.push({ name, run })
  }
  for (const [name, where] of Object.entries(FILTERS)) {
    add(`findMany, ${name}`, () => db.post.findMany({ where, orderBy: { createdAt: 'desc' }, take: 10 }))
    add(`findFirst, ${name}`, () => db.post.findFirst({ where }))
    add(`count, ${name}`, () => db.post.count({ where }))
    add(`include author, ${name}`, () => db.post.findMany({ where, include: { author: true } }))
  }
  for (const relationLoadStrategy of ['join', 'query']) {
    addRelations((name, load) => add(`${name} (${relationLoadStrategy})`, () => load(db, { relationLoadStrategy })))
  }
  addRest(db, add)
  return found
}

type Add = (name: string, run: () => Promise<unknown>) => void

function addRelations(
  add: (name: string, load: (db: PrismaDatabase, strategy: Arguments) => Promise<unknown>) => void,
): void {
  const ofPost = { id: 3 }
  const ofAuthor = { authorId: 3 }
  const includes: Record<string, Arguments> = {
    'include comments': { comments: true },
    'include comments, filtered': { comments: { where: { isApproved: true }, orderBy: { id: 'desc' }, take: 3 } },
    'include comments, selected': { comments: { select: { body: true } } },
    'include comments and authors': { author: true, comments: { include: { author: true } } },
    'include replies': { comments: { include: { replies: true, parent: true } } },
    'include tags': { tags: { include: { tag: true } } },
    'include all': { author: true, comments: true, tags: { include: { tag: true } } },
    'include counts': { _count: { select: { comments: true, tags: true } } },
    'include counts, filtered': { _count: { select: { comments: { where: { isApproved: true } } } } },
    'include a page': { comments: { orderBy: { id: 'asc' }, skip: 1, take: 2 } },
  }
  for (const [name, include] of Object.entries(includes)) {
    add(`${name}, one`, (db, strategy) => db.post.findUnique({ where: ofPost, include, ...strategy }))
    add(`${name}, many`, (db, strategy) => db.post.findMany({ where: ofAuthor, include, ...strategy }))
  }
  add('author with posts', (db, strategy) =>
    db.author.findUnique({ where: ofPost, include: { posts: true }, ...strategy }),
  )
  add('author with posts and comments', (db, strategy) =>
    db.author.findMany({
      where: { id: { in: [1, 2] } },
      include: { posts: { include: { comments: true } } },
      ...strategy,
    }),
  )
  add('tag with posts', (db, strategy) =>
    db.tag.findUnique({ where: { name: 'tag1' }, include: { posts: { include: { post: true } } }, ...strategy }),
  )
  add('select nested', (db, strategy) =>
    db.comment.findMany({
      where: { postId: 3 },
      select: { id: true, post: { select: { title: true, author: { select: { name: true } } } } },
      ...strategy,
    }),
  )
}

function addRest(db: PrismaDatabase, add: Add): void {
  const ofAuthor = { authorId: 3 }
  add('findUnique', () => db.post.findUnique({ where: { id: 3 } }))
  add('findUnique by slug', () => db.post.findUnique({ where: { slug: 'post-3' } }))
  add('findUnique, selected', () => db.post.findUnique({ where: { id: 3 }, select: { id: true, title: true } }))
  add('findUnique, compound', () => db.postTag.findUnique({ where: { postId_tagId: { postId: 1, tagId: 2 } } }))
  add('findUnique and more', () => db.post.findUnique({ where: { id: 3, status: 'live' } }))
  add('cursor', () => db.post.findMany({ cursor: { id: 10 }, take: 5, orderBy: { id: 'asc' } }))
  add('cursor and skip', () =>
    db.post.findMany({
      where: ofAuthor,
      cursor: { id: 10 },
      skip: 1,
      take: 5,
      orderBy: [{ createdAt: 'desc' }, { id: 'asc' }],
    }),
  )
  add('skip and take', () => db.post.findMany({ where: ofAuthor, skip: 5, take: 5, orderBy: { id: 'asc' } }))
  add('take from the end', () => db.post.findMany({ where: ofAuthor, take: -3, orderBy: { id: 'asc' } }))
  add('distinct', () => db.post.findMany({ where: ofAuthor, distinct: ['status'], select: { status: true } }))
  add('order by relation', () => db.post.findMany({ where: ofAuthor, orderBy: { author: { name: 'asc' } } }))
  add('order by count', () => db.post.findMany({ where: ofAuthor, orderBy: { comments: { _count: 'desc' } } }))
  add('order by nulls', () =>
    db.post.findMany({ where: ofAuthor, orderBy: { publishedAt: { sort: 'asc', nulls: 'last' } } }),
  )
  add('count of columns', () =>
    db.post.count({ where: ofAuthor, select: { _all: true, publishedAt: true } } as Arguments),
  )
  add('aggregate', () =>
    db.post.aggregate({
      where: ofAuthor,
      _sum: { views: true },
      _avg: { rating: true },
      _min: { createdAt: true },
      _max: { views: true },
    }),
  )
  add('aggregate of a page', () =>
    db.post.aggregate({ where: ofAuthor, _count: true, take: 3, orderBy: { id: 'asc' } }),
  )
  add('groupBy', () => db.post.groupBy({ by: ['status'], where: ofAuthor, _count: { _all: true } }))
  add('groupBy having', () =>
    db.post.groupBy({ by: ['authorId'], _sum: { views: true }, having: { views: { _avg: { gt: 100 } } } }),
  )
  add('groupBy ordered', () =>
    db.post.groupBy({ by: ['authorId', 'status'], _count: true, orderBy: { authorId: 'asc' }, take: 5 }),
  )
  add('raw', () => db.$queryRawUnsafe('select id, title from posts where author_id = $1', 3))
}
