import { type ClientOptions, Http } from './http.js'
import { Followed, type WatchOptions } from './live.js'
import { TreeClient } from './tree.js'

/** Of a declared resource: text, numbers, booleans. */
export type Parameters = Readonly<Record<string, string | number | boolean | undefined>>

/** What is to go: names, or a pattern by itself. */
export type Invalidation = (
  | { readonly keys?: readonly string[]; readonly tags?: readonly string[]; readonly dependencies?: readonly string[] }
  | { readonly pattern: string; readonly syntax?: 'glob' | 'regex' }
) & {
  /** `soft`: marked expired, so that it may be served by grace until it is loaded anew. Default `hard`. */
  readonly mode?: 'hard' | 'soft'
  readonly dryRun?: boolean
  /** Why: the journal has it. */
  readonly cause?: string
  /** Done once for each id, however often it is asked. */
  readonly requestId?: string
}

export interface Invalidated {
  readonly request_id?: string
  readonly invalidated_count: number
  readonly matched_keys?: readonly string[]
  readonly position?: string
}

/** A server, as a program sees it. */
export interface Client {
  /** A config of a tenant. The same object for the same names. */
  tree(tenant: string, config: string): TreeClient
  /** A declared resource with its parameters. The same object for the same ones. */
  resource<Value = unknown>(name: string, parameters?: Parameters): ResourceClient<Value>
  /** Resolves when the server that was asked has applied it. */
  invalidate(what: Invalidation, options?: { readonly signal?: AbortSignal }): Promise<Invalidated>
}

/** Makes a client. Opens nothing until it is asked for something. */
export function createClient(options: ClientOptions = {}): Client {
  const http = new Http(options)
  const trees = new Map<string, TreeClient>()
  const resources = new Map<string, ResourceClient<unknown>>()
  return {
    tree: (tenant, config) =>
      known(trees, JSON.stringify([tenant, config]), () => new TreeClient(http, tenant, config)),
    resource: <Value>(name: string, parameters: Parameters = {}) =>
      known(
        resources,
        JSON.stringify([name, Object.entries(parameters).toSorted()]),
        () => new ResourceClient<unknown>(http, name, parameters),
      ) as ResourceClient<Value>,
    async invalidate({ requestId, ...what }, { signal } = {}) {
      const path = 'pattern' in what ? '/api/invalidate/pattern' : '/api/invalidate'
      return (await http.json(path, {
        method: 'POST',
        query: { tenant: http.tenant },
        body: { ...what, ...(requestId === undefined ? {} : { request_id: requestId }) },
        signal,
      })) as Invalidated
    },
  }
}

/** A declared resource with its parameters: the answer of one query. */
export class ResourceClient<Value> extends Followed<Value> {
  readonly #http: Http
  readonly #name: string
  readonly #parameters: Parameters

  /** @internal  use `client.resource()` */
  constructor(http: Http, name: string, parameters: Parameters) {
    super(http, `/api/streams/${encodeURIComponent(name)}`, parameters)
    this.#http = http
    this.#name = encodeURIComponent(name)
    this.#parameters = parameters
  }

  async get({ signal }: WatchOptions = {}): Promise<Value> {
    return (await this.#http.json(`/api/resources/${this.#name}`, { query: this.#parameters, signal })) as Value
  }
}

function known<Made>(all: Map<string, Made>, key: string, make: () => Made): Made {
  let found = all.get(key)
  if (found === undefined) {
    found = make()
    all.set(key, found)
  }
  return found
}
