import { problemOf, unreachable } from './errors.js'

export interface ClientOptions {
  /** The server's address, e.g. `https://tidemark.internal`. Default: the page's own, in a browser. */
  readonly url?: string
  /** Sent as `Authorization: Bearer`. A function is asked for each request: where tokens are renewed. */
  readonly token?: string | (() => string | undefined | Promise<string | undefined>)
  /** Whose resources and entries are meant. Trees name theirs. Default: the server's, `default`. */
  readonly tenant?: string
  /** Default: the platform's. */
  readonly fetch?: typeof fetch
}

export interface Sent {
  readonly method?: string
  readonly query?: Query
  readonly headers?: Readonly<Record<string, string | undefined>>
  readonly body?: string
  readonly signal?: AbortSignal | undefined
}

/** undefined is left out; lists are sent once for each. */
export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

/** One server, as requests go to it. */
export class Http {
  readonly #base: string
  readonly #token: ClientOptions['token']
  readonly #fetch: typeof fetch
  readonly tenant: string | undefined

  constructor({ url = '', token, tenant, fetch: own }: ClientOptions) {
    this.#base = url.replace(/\/+$/, '')
    this.#token = token
    this.tenant = tenant
    this.#fetch = own ?? ((input, init) => globalThis.fetch(input, init))
  }

  /** An answer that is one: 2xx, or 304. @throws ClientError; what `signal` was aborted with */
  async send(path: string, { method = 'GET', query = {}, headers = {}, body, signal }: Sent = {}): Promise<Response> {
    const token = typeof this.#token === 'function' ? await this.#token() : this.#token
    const init: RequestInit = {
      method,
      headers: {
        ...defined(headers),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      // What the server says of freshness is for caches that hold values: here everything is asked.
      cache: 'no-store',
      ...(body === undefined ? {} : { body }),
      ...(signal ? { signal } : {}),
    }
    const url = `${this.#base}${path}${queryOf(query)}`
    const response = await this.#fetch(url, init).catch((cause: unknown) => {
      throw signal?.aborted ? signal.reason : unreachable(this.#base || 'this address', cause)
    })
    if (response.ok || response.status === 304) return response
    throw await problemOf(url, response)
  }

  /** Sends JSON, and reads JSON. */
  async json(
    path: string,
    { body, headers, ...sent }: Omit<Sent, 'body'> & { readonly body?: unknown } = {},
  ): Promise<unknown> {
    const response = await this.send(path, {
      ...sent,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return response.json()
  }
}

function queryOf(query: Query): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    for (const each of Array.isArray(value) ? (value as readonly string[]) : [String(value)]) search.append(name, each)
  }
  return search.size === 0 ? '' : `?${search}`
}

function defined(headers: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)) as Record<
    string,
    string
  >
}
