// What users must and need not write: this file is compiled, not run. An `@ts-expect-error` that no error follows is an error.
import type { Pool } from 'pg'
import { createCache, type Definition } from 'tidemark'
import { postgres } from './index.js'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function same<A, B>(isSame: Same<A, B>): void

interface Post {
  readonly id: string
  readonly title: string
}
declare const schema: { parse(value: unknown): Post }
declare const own: Pool & { readonly mine: true }

export async function inference(): Promise<void> {
  const source = postgres({ url: 'postgres://localhost/blog' })
  const cache = createCache({ source })

  const stated = cache.define('stated', ({ sql }, id: number) => sql.one<Post>`select * from posts where id = ${id}`)
  same<typeof stated, Definition<[id: number], Post | null>>(true)
  const checked = cache.define(
    'checked',
    ({ sql }, id: number) => sql.one(schema)`select * from posts where id = ${id}`,
  )
  same<typeof checked, Definition<[id: number], Post | null>>(true)
  const feed = cache.define(
    'feed',
    ({ sql }, author: bigint) => sql.many(schema)`select * from posts where a = ${author}`,
  )
  same<typeof feed, Definition<[author: bigint], Post[]>>(true)
  const loose = await cache.get('loose', ({ sql }) => sql.many`select 1 as n`)
  same<typeof loose, Record<string, unknown>[]>(true)
  const plain = await cache.get('plain', ({ sql }) => sql.query<Post>('select * from posts where id = $1', [1]))
  same<(typeof plain)['rows'], Post[]>(true)

  const part = await cache.get('part', ({ sql }) => {
    const filter = sql.fragment`author_id = ${1}`
    return sql.many<Post>`select * from ${sql.identifier('posts')} where ${filter}`
  })
  same<typeof part, Post[]>(true)

  same<typeof source.pool, Pool>(true)
  const wrapped = source.wrapPool(own)
  same<typeof wrapped, typeof own>(true)

  // @ts-expect-error an address is needed
  postgres({})
  // @ts-expect-error a text is not a template: its values could not be told from it
  void cache.get('text', ({ sql }) => sql.one('select 1'))
  // @ts-expect-error there is no sql without a source
  void createCache().get('none', ({ sql }) => sql.one`select 1`)
}
