import type { State } from '../../answer.js'
import type { Cache } from '../../cache.js'
import type { Definition, EntryOptions, LoaderContext } from '../../definition.js'
import type { Read, SimReads } from './sim-source.js'

/** A value that says what it was computed from, all of it: the oracle needs nothing else to judge it. */
export interface Shown {
  readonly tenant: string
  readonly key: string
  /** The number of the loader's run. */
  readonly load: number
  readonly reads: readonly Read[]
  /** Versions of what lies outside of the database, by name, as they were when the loader began. */
  readonly externals: Readonly<Record<string, number>>
  readonly inner: readonly Inner[]
  /** The version of the program that computed it; undefined where both do the same. */
  readonly program?: number
}

/** What a loader got from another definition. `missed`: a peek that found nothing. */
export interface Inner {
  readonly state: State | 'missed'
  readonly value: Shown | undefined
}

/** What loaders tell the world. */
export interface LoaderHooks {
  /** The version of the program. */
  readonly program: number
  external(name: string): number
  /** A loader begins. @returns its number */
  began(tenant: string, key: string, signal: AbortSignal): number
  ended(load: number): void
  /** What was loaded together has ended with the last of it: its age counts from then. */
  endedTogether(loads: readonly number[]): void
}

export type SimCache = Cache<{ db: SimReads }>
export type SimDefinition = Definition<[number], Shown>
type Context = LoaderContext & { db: SimReads }

/** What a loader found, beside what it knows of itself. */
interface Found {
  readonly reads?: readonly Read[]
  readonly inner?: readonly Inner[]
}

const GRACED: EntryOptions = { ttl: 400, grace: 600, tags: ['graced'], hardTimeout: 900 }
const LAG_MS = 150

/** How long an entry is fresh, in ms. */
export function lifetimeOf(key: string): number {
  if (key.startsWith('graced')) return 400
  return key.startsWith('patient') ? 200 : Number.POSITIVE_INFINITY
}

export function keyName(tenant: string, key: string): string {
  return `key ${tenant} ${key}`
}

export function tagName(tenant: string, tag: string): string {
  return `tag ${tenant} ${tag}`
}

/** The definitions of every run: single rows, groups, ranges, whole tables, lists of which rows there are, tags, grace, and nested ones up to three levels. */
export function defineAll(cache: SimCache, hooks: LoaderHooks): Record<string, SimDefinition> {
  const define = (
    name: string,
    load: (context: Context, id: number) => Promise<Found>,
    options: EntryOptions = {},
    tags: (id: number) => readonly string[] = () => [],
  ): SimDefinition => {
    const { program } = hooks
    const compute = async (context: Context, id: number): Promise<Shown> => {
      context.tag(...tags(id))
      const own = [...(options.tags ?? []), ...tags(id)]
      return { ...(await run(hooks, context, `${name}(${id})`, own, () => load(context, id))), program }
    }
    // Each version of the program has a loader of another text.
    const loader = program === 1 ? compute : (context: Context, id: number) => compute(context, id)
    return cache.define(name, loader, {
      ...options,
      // What is read for the first counts for all, what for the others for each alone.
      loadMany: async (context, ids) => {
        const loading = ids.map((id, i) => loader(i === 0 ? context : context.of(id), id))
        // It ends when all have: what would run on could not be told from a second load.
        await Promise.allSettled(loading)
        const all = await Promise.all(loading)
        hooks.endedTogether(all.map(({ load }) => load))
        return all
      },
    })
  }

  const post = define('post', async ({ db }, id) => ({
    reads: [await db.rows({ table: 'public.posts', by: 'id', value: id })],
  }))
  const feed = define(
    'feed',
    async ({ db }, author) => ({ reads: [await db.rows({ table: 'public.posts', by: 'group', value: author })] }),
    {},
    (author) => [`author:${author}`],
  )
  const page = define('page', async ({ db }, id) => {
    const inner = await asked(post, id)
    return { inner: [inner], reads: [await db.rows({ table: 'public.comments', by: 'group', value: id })] }
  })
  const graced = define(
    'graced',
    async ({ db }, id) => ({ reads: [await db.rows({ table: 'public.posts', by: 'id', value: id })] }),
    GRACED,
  )
  const patient = define(
    'patient',
    async ({ db }, id) => ({ reads: [await db.rows({ table: 'public.comments', by: 'id', value: id })] }),
    { ttl: 200, grace: { refill: 300, failure: 800 }, softTimeout: 40, earlyRefresh: 0.5, jitter: 0.3 },
  )
  const home = define('home', async ({ db }, id) => {
    const [first, second, read] = await Promise.all([
      asked(feed, 1),
      asked(page, id),
      db.rows({ table: 'public.comments', by: 'all', value: 0 }),
    ])
    return { inner: [first, second], reads: [read] }
  })
  const front = define('front', async (_, id) => ({ inner: [await asked(graced, id), await asked(home, id)] }))
  const digest = define('digest', async ({ db }, id) => {
    const inner = await asked(graced, id)
    return { inner: [inner], reads: [await db.rows({ table: 'public.comments', by: 'group', value: id })] }
  })
  const peeker = define('peeker', async ({ db }, id) => {
    const value = post.peek(id)
    const inner: Inner = value ? { state: 'fresh', value } : { state: 'missed', value }
    return { inner: [inner], reads: [await db.rows({ table: 'public.comments', by: 'id', value: id })] }
  })
  const listed = define('listed', async ({ db }, author) => ({
    reads: [await db.rows({ table: 'public.posts', by: 'group', value: author, isListing: true })],
  }))
  const from = define('from', async ({ db }, first) => ({
    reads: [await db.rows({ table: 'public.comments', by: 'from', value: first })],
  }))
  const counted = define('counted', async ({ db }, first) => ({
    reads: [
      await db.rows({ table: 'public.posts', by: 'from', value: first, isListing: true }),
      await db.rows({ table: 'public.comments', by: 'all', value: 0, isListing: true }),
    ],
  }))
  const replica = define('replica', async ({ db }, id) => ({
    reads: [await db.replica({ table: 'public.posts', by: 'id', value: id })],
  }))
  const copy = define(
    'copy',
    async ({ db }, id) => ({ reads: [await db.copy({ table: 'public.posts', by: 'group', value: id }, LAG_MS)] }),
    { sourceLag: LAG_MS },
  )
  return { post, feed, page, graced, patient, home, front, digest, peeker, listed, from, counted, replica, copy }
}

/** The loader of a plain `get` key. */
export function loadRaw(hooks: LoaderHooks, key: string): (context: Context) => Promise<Shown> {
  return (context) =>
    run(hooks, context, key, ['raw'], async () => ({
      reads: [await context.db.rows({ table: 'public.comments', by: 'id', value: 1 })],
    }))
}

async function run(
  hooks: LoaderHooks,
  { tenant, signal }: Context,
  key: string,
  tags: readonly string[],
  load: () => Promise<Found>,
): Promise<Shown> {
  const number = hooks.began(tenant, key, signal)
  try {
    const own = [keyName(tenant, key), ...tags.map((tag) => tagName(tenant, tag))]
    const externals = Object.fromEntries(own.map((name) => [name, hooks.external(name)]))
    const { reads = [], inner = [] } = await load()
    return { tenant, key, load: number, reads, externals, inner }
  } finally {
    hooks.ended(number)
  }
}

async function asked(definition: SimDefinition, id: number): Promise<Inner> {
  const { state, value } = await definition.ask(id)
  return { state, value }
}
