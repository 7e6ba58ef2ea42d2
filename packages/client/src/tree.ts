import type { Http } from './http.js'
import { Followed } from './live.js'

/** Of a JSON Patch (RFC 6902). */
export type PatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly from: string; readonly path: string }

export interface ReadOptions {
  /** Levels below the node; what is deeper is shown as `{}` or `[]`. */
  readonly depth?: number
  /** As it was in this version. */
  readonly at?: number
  /** Only what the config has itself: nothing inherited, no reference followed. */
  readonly own?: boolean
  /** The `position` of an edit: the answer shows it, whichever process gives it. */
  readonly position?: string
  readonly signal?: AbortSignal
}

export interface EditOptions {
  /** Only if the node is still what it was: its version, or the ETag of a read. Else TIDEMARK_TREE_VERSION. */
  readonly ifMatch?: number | string
  /** Why: the history has it. */
  readonly cause?: string
  /** Change nothing, and say what would change. */
  readonly dryRun?: boolean
  /** Nodes that are invalidated with this one, from now on. */
  readonly dependencies?: readonly string[]
  readonly signal?: AbortSignal
}

export interface Edited {
  readonly version: number
  /** A read that carries it shows the edit; missing of a dry run. */
  readonly position?: string
  readonly changes: readonly { readonly path: string; readonly change: 'added' | 'changed' | 'removed' }[]
}

/** A value, with what an edit can be bound to. */
export interface Read<Value> {
  /** undefined where there is no such node. */
  readonly value: Value | undefined
  readonly etag: string | undefined
  readonly version: number | undefined
  readonly position: string | undefined
}

/** A config of a tenant. */
export class TreeClient {
  readonly #http: Http
  readonly #base: string
  readonly #nodes = new Map<string, TreeNodeClient<unknown>>()

  /** @internal  use `client.tree()` */
  constructor(http: Http, tenant: string, config: string) {
    this.#http = http
    this.#base = `/api/trees/${encodeURIComponent(tenant)}/${encodeURIComponent(config)}`
  }

  /** A node, whether it exists or not. `path` is a JSON Pointer (RFC 6901); empty for the whole config. */
  node<Value = unknown>(path = ''): TreeNodeClient<Value> {
    let node = this.#nodes.get(path)
    if (!node) {
      node = new TreeNodeClient<unknown>(this.#http, this.#base, path)
      this.#nodes.set(path, node)
    }
    return node as TreeNodeClient<Value>
  }

  /** Lets the config inherit another one of its tenant, or of the tenant `shared`; undefined: none. */
  async extend(base: { readonly tenant?: string; readonly config: string } | undefined): Promise<Edited> {
    const method = base ? 'PUT' : 'DELETE'
    return (await this.#http.json(`${this.#base}/~base`, { method, ...(base ? { body: base } : {}) })) as Edited
  }

  /** Does a JSON Patch, all of it or nothing. Its paths begin at the root. */
  patch(operations: readonly PatchOperation[], options: EditOptions = {}): Promise<Edited> {
    return edit(this.#http, this.#base, 'PATCH', 'application/json-patch+json', operations, options)
  }
}

/** A node of a config, and all below it. */
export class TreeNodeClient<Value> extends Followed<Value> {
  readonly path: string
  readonly #http: Http
  readonly #url: string

  /** @internal  use `tree.node()` */
  constructor(http: Http, base: string, path: string) {
    super(http, `${base}/~live`, { path })
    this.path = path
    this.#http = http
    this.#url = `${base}${path.split('/').map(encodeURIComponent).join('/')}`
  }

  /** The value; undefined where there is no such node. */
  async get(options: ReadOptions = {}): Promise<Value | undefined> {
    return (await this.read(options)).value
  }

  /** The value, with its version and ETag. */
  async read({ depth, at, own, position, signal }: ReadOptions = {}): Promise<Read<Value>> {
    const query = { depth, at, own, 'min-position': position }
    const sent = this.#http.send(this.#url, { query, signal })
    const response = await sent.catch((error: { code?: string }) => {
      if (error.code === 'TIDEMARK_TREE_ABSENT') return undefined
      throw error
    })
    const header = (name: string) => response?.headers.get(name) ?? undefined
    const version = header('tidemark-version')
    return {
      value: response && ((await response.json()) as Value),
      etag: header('etag'),
      version: version === undefined ? undefined : Number(version),
      position: header('tidemark-position'),
    }
  }

  /** Sets the node; objects above it that are missing are made. */
  set(value: Value, options: EditOptions = {}): Promise<Edited> {
    return edit(this.#http, this.#url, 'PUT', 'application/json', value, options)
  }

  /** Does a JSON Merge Patch (RFC 7386): members that are null go. */
  merge(patch: unknown, options: EditOptions = {}): Promise<Edited> {
    return edit(this.#http, this.#url, 'PATCH', 'application/merge-patch+json', patch, options)
  }

  /** Takes the node away, with all below it. */
  delete(options: EditOptions = {}): Promise<Edited> {
    return edit(this.#http, this.#url, 'DELETE', undefined, undefined, options)
  }
}

async function edit(
  http: Http,
  url: string,
  method: string,
  type: string | undefined,
  body: unknown,
  { ifMatch, cause, dryRun, dependencies, signal }: EditOptions,
): Promise<Edited> {
  const match = typeof ifMatch === 'number' ? `"${ifMatch}"` : ifMatch
  const response = await http.send(url, {
    method,
    query: { dryRun, cause, dependency: dependencies },
    headers: { 'content-type': type, 'if-match': match },
    signal,
    ...(type === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return (await response.json()) as Edited
}
