/**
 * The live values of this origin, one connection for each, however many listen.
 *
 * A browser opens at most six connections to one server over HTTP/1.1, for all its windows together, and each open stream
 * holds one. So at most `OPEN_MAX` streams are open; what is beyond is asked for every 400 ms until a place is free.
 */
const OPEN_MAX = 5
const ASK_EVERY_MS = 400
const RETRY_MIN_MS = 500
const RETRY_MAX_MS = 5000
const GONE = 'The server does not answer.'

export class Streams {
  #feeds = new Map()

  /**
   * Calls `listener` with `{ kind: 'value', value, id }` now and at each change, and with `{ kind: 'state', state, reason }`
   * where state is `waiting`, `live` or `lost`. Returns the function that ends it.
   *
   * @param path `/api/streams/…` for a live value; any other path is asked for every 400 ms
   */
  subscribe(path, listener) {
    let feed = this.#feeds.get(path)
    if (!feed) {
      feed = new Feed(path)
      this.#feeds.set(path, feed)
      this.#settle()
    }
    feed.add(listener)
    return () => {
      if (!feed.remove(listener)) return
      feed.end()
      if (this.#feeds.get(path) === feed) this.#feeds.delete(path)
      this.#settle()
    }
  }

  /** The oldest streams are the open ones: they are what stays on the screen. */
  #settle() {
    let open = 0
    for (const feed of this.#feeds.values()) feed.run(feed.isStream && ++open <= OPEN_MAX ? 'stream' : 'ask')
  }
}

class Feed {
  #path
  #listeners = new Set()
  #mode = 'idle'
  #stop = () => {}
  #last
  #state = { kind: 'state', state: 'waiting', reason: '' }
  #failures = 0

  constructor(path) {
    this.#path = path
  }

  get isStream() {
    return this.#path.startsWith('/api/streams/')
  }

  add(listener) {
    this.#listeners.add(listener)
    listener(this.#state)
    if (this.#last) listener(this.#last)
  }

  /** Returns whether nobody listens any more. */
  remove(listener) {
    this.#listeners.delete(listener)
    return this.#listeners.size === 0
  }

  run(mode) {
    if (mode === this.#mode) return
    this.end()
    this.#mode = mode
    if (mode === 'stream') this.#open()
    else this.#ask()
  }

  end() {
    this.#mode = 'idle'
    this.#stop()
  }

  #open() {
    const source = new EventSource(this.#path)
    const take = (event) => this.#took(JSON.parse(event.data), event.lastEventId)
    source.onmessage = take
    source.addEventListener('value', take)
    source.onopen = () => this.#says('live')
    source.onerror = () => {
      // The browser tries again by itself after a lost connection, but never after an answer that was not a stream.
      if (source.readyState === EventSource.CLOSED) this.#explain()
      else this.#says('lost', GONE)
    }
    this.#stop = () => source.close()
  }

  /** A stream does not say why it was refused; the same question, asked once, does. */
  async #explain() {
    const abort = new AbortController()
    this.#stop = () => abort.abort()
    await this.#fetch(abort.signal).catch((error) => {
      if (!abort.signal.aborted) this.#says('lost', error.message)
    })
    if (!abort.signal.aborted) this.#again(() => this.#open())
  }

  async #ask() {
    const abort = new AbortController()
    this.#stop = () => abort.abort()
    try {
      const { value, id } = await this.#fetch(abort.signal)
      this.#took(value, id)
      this.#says('live')
      this.#later(ASK_EVERY_MS, () => this.#ask())
    } catch (error) {
      if (abort.signal.aborted) return
      this.#says('lost', error.message)
      this.#again(() => this.#ask())
    }
  }

  async #fetch(signal) {
    const response = await fetch(this.#path.replace('/api/streams/', '/api/resources/'), {
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
      headers: { accept: 'application/json' },
    }).catch(() => Promise.reject(new Error(GONE)))
    const value = await response.json()
    // Health answers 503 with a body that says what is wrong: that is an answer too.
    if (!response.ok && !this.#path.startsWith('/health')) throw new Error(value.detail ?? response.statusText)
    return { value, id: response.headers.get('tidemark-position') ?? '' }
  }

  #again(run) {
    this.#failures++
    const most = Math.min(RETRY_MIN_MS * 2 ** this.#failures, RETRY_MAX_MS)
    this.#later(most * (0.5 + Math.random() / 2), run)
  }

  #later(ms, run) {
    const timer = setTimeout(run, ms)
    this.#stop = () => clearTimeout(timer)
  }

  #took(value, id) {
    this.#failures = 0
    this.#last = { kind: 'value', value, id }
    this.#tell(this.#last)
  }

  #says(state, reason = '') {
    if (this.#state.state === state && this.#state.reason === reason) return
    this.#state = { kind: 'state', state, reason }
    this.#tell(this.#state)
  }

  #tell(message) {
    for (const listener of this.#listeners) listener(message)
  }
}
