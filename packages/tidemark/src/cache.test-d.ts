// What users must and need not write: this file is compiled, not run. An `@ts-expect-error` that no error follows is an error.
import type { Answer, Cache, Definition, LoaderContext, Preview, Source } from './index.js'
import { createCache } from './index.js'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function same<A, B>(isSame: Same<A, B>): void

interface Post {
  readonly id: number
  readonly title: string
}
interface Sql {
  one<Row = Record<string, unknown>>(text: TemplateStringsArray, ...values: unknown[]): Promise<Row | null>
  many<Row>(text: TemplateStringsArray, ...values: unknown[]): Promise<Row[]>
}
declare const source: Source<{ sql: Sql }>

export async function inference(): Promise<void> {
  const cache = createCache({ source })
  same<typeof cache, Cache<{ sql: Sql }>>(true)

  // The arguments and the value come from the loader; the row type is the one thing that is stated.
  const post = cache.define('post', ({ sql }, id: number) => sql.one<Post>`select * from posts where id = ${id}`, {
    grace: '1h',
  })
  same<typeof post, Definition<[id: number], Post | null>>(true)
  const value: Post | null = await post(42)
  same<typeof value, Post | null>(true)
  const peeked = post.peek(42)
  same<typeof peeked, Post | null | undefined>(true)
  const title: string | undefined = post.peek(42)?.title
  const answer = await post.with({ minPosition: '0/1' }).ask(42)
  same<typeof answer, Answer<Post | null>>(true)
  same<typeof answer.state, 'fresh' | 'stale' | 'fenced'>(true)
  same<typeof answer.from, 'l1' | 'l2' | 'source' | 'joined'>(true)
  for await (const seen of post.watch(42)) same<typeof seen, Post | null>(true)
  for await (const seen of post.watchAnswers(42)) same<typeof seen, Answer<Post | null>>(true)
  const key: string = post.key(42)

  const feed = cache.define('feed', async ({ sql, signal, tenant, tag }, author: number, page: number = 0) => {
    same<typeof signal, AbortSignal>(true)
    same<typeof tenant, string>(true)
    same<typeof author, number>(true)
    same<typeof page, number>(true)
    tag('feeds', `author:${author}`)
    const rows = await sql.many<Post>`select * from posts`
    return rows.map((row) => row.title)
  })
  const titles: string[] = await feed(1)
  await feed(1, 2)

  // A loader may be synchronous, take nothing, and read other entries.
  const nested = cache.define('nested', async (_, id: number): Promise<string> => (await post(id))?.title ?? '')
  same<typeof nested, Definition<[id: number], string>>(true)
  const one = cache.define('one', () => 1)
  same<typeof one, Definition<[], number>>(true)
  const rest = cache.define('rest', (_, ...ids: readonly number[]) => ids.length)
  await rest(1, 2, 3)

  const got = await cache.get('k', async ({ sql }) => (await sql.one<Post>`select 1`)?.id, { tags: ['t'], ttl: '30s' })
  same<typeof got, number | undefined>(true)
  const asked = await cache.ask('k', () => ({ name: 'x' }))
  same<typeof asked, Answer<{ name: string }>>(true)
  const found = cache.peek<number>('k')
  same<typeof found, number | undefined>(true)
  for await (const seen of cache.watch('k', () => 'text')) same<typeof seen, string>(true)

  const both = cache.define('both', ({ sql }, id: number) => sql.one<Post>`select 1 where ${id} = 1`, {
    ttl: '1m',
    loadMany: async ({ sql, of, tag }, ids) => {
      same<typeof ids, readonly number[]>(true)
      of(ids[0]!).tag('one')
      tag('all')
      await of(1).sql.one<Post>`select 1`
      const rows = await sql.many<Post>`select * from posts`
      return ids.map((id) => rows.find((row) => row.id === id) ?? null)
    },
  })
  const posts: (Post | null)[] = await both.many([1, 2])
  const answers: Answer<Post | null>[] = await both.with({ minPosition: '0/1' }).askMany([1])
  const numbers = await cache.getMany(['a'], (_, keys) => new Map(keys.map((each) => [each, each.length])))
  same<typeof numbers, (number | undefined)[]>(true)
  const texts = await cache.askMany(['a'], (_, keys) => keys.map((each) => each.toUpperCase()))
  same<typeof texts, Answer<string | undefined>[]>(true)
  void [posts, answers, numbers, texts]

  const view = cache.tenant('acme').as({ role: 'reader', settings: { 'app.user': '7' }, timeZone: 'UTC' })
  same<typeof view, Cache<{ sql: Sql }>>(true)
  same<ReturnType<typeof view.in<[id: number], Post | null>>, typeof post>(true)
  const position: string = await cache.invalidate({ keys: [post.key(42)], tags: ['users'], mode: 'expire' })
  await cache.invalidate({ pattern: 'user:*' })
  await cache.invalidate({ pattern: ['user:*', { regex: '^post' }] as const, all: 'tenant' })
  await cache.invalidate({ tags: ['t'], by: { actor: 'admin', requestId: 'req-001', cause: 'a price was wrong' } })
  const preview = await cache.preview({ pattern: { regex: '^post' } })
  same<typeof preview, Preview>(true)
  cache.on('applied', ({ entries, touched }) => same<typeof touched, number>(entries.length > 0 || true))
  void [title, titles, key, position]

  // @ts-expect-error a default does not tell TypeScript the type of an argument here: it is unknown, never any
  cache.define('x', (_, page = 0) => page + 1)
  // @ts-expect-error a wrong argument
  post('42')
  // @ts-expect-error an argument is missing
  post()
  // @ts-expect-error one too many
  post(42, 1)
  // @ts-expect-error the same four ways take the same arguments
  post.peek('42')
  // @ts-expect-error of several arguments there is no list
  feed.many([1])
  // @ts-expect-error a Map may lack a key, and undefined is no value here
  cache.define('y', (_, id: number) => id, { loadMany: (_, ids) => new Map(ids.map((id) => [id, id])) })
  // @ts-expect-error no such event
  cache.on('aplied', () => undefined)
  // @ts-expect-error nothing else is known of who asks
  cache.invalidate({ tags: ['t'], by: { user: 'admin' } })
  // @ts-expect-error no such mode
  cache.invalidate({ tags: ['t'], mode: 'soft' })
  // @ts-expect-error JavaScript's own expressions may take for ever
  cache.invalidate({ pattern: /user/ })
  // @ts-expect-error no such extent
  cache.invalidate({ all: true })
  // @ts-expect-error a preview drops nothing, so it has no mode
  cache.preview({ all: 'tenant', mode: 'drop' })
  // @ts-expect-error no such option
  cache.define('x', () => 1, { tll: '1s' })
  // @ts-expect-error no such unit
  cache.define('x', () => 1, { ttl: '1 second' })
  // @ts-expect-error options of one call do not belong to a definition
  cache.define('x', () => 1, { minPosition: '0/1' })
  // @ts-expect-error options of a definition do not belong to one call
  post.with({ ttl: '1s' })
  // @ts-expect-error settings are text
  cache.as({ settings: { a: 1 } })
}

export async function withoutSource(): Promise<void> {
  const plain = createCache()
  const user = await plain.get('k', async () => ({ name: 'x' }))
  same<typeof user, { name: string }>(true)
  const load = (context: LoaderContext): string => context.tenant
  await plain.get('t', load)
  // @ts-expect-error no sql without a source
  plain.define('x', ({ sql }) => sql)
  // @ts-expect-error a source, not its address
  createCache({ source: 'postgres://localhost' })
  // @ts-expect-error no such option
  createCache({ maxSilense: '5s' })
}
