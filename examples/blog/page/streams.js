/**
 * The live values of this origin, one connection for each, however many listen.
 *
 * A browser opens at most six connections to one server over HTTP/1.1, for all its windows together, and each open stream
 * holds one. So at most `OPEN_MAX` are open, the oldest first; what is beyond them is asked for whenever the cache tells of
 * a change, which comes by a stream of its own.
 */
const OPEN_MAX = 4
const ACTIVITY = '/api/activity'
const ACTIVITY_EVENTS = ['applied', 'started', 'lost', 'skipped']
const ASK_EVERY_MS = 1000
const ASK_SPACING_MS = 100
const RETRY_MIN_MS = 500
const RETRY_MAX_MS = 4000
const GONE = 'The server does not answer.'

export class Streams {
  #feeds = new Map()

  /**
   * Calls `listener` with `{ kind: 'value', value, id }` now and at each change, and with `{ kind: 'state', state, reason }`
   * where state is `waiting`, `live` or `lost`. Returns the function that ends it.
   *
   * @param path `/api/streams/…` for a live value, `/api/activity`; anything else is asked for each second
   */
  subscribe(path, listener) {
    let feed = this.#feeds.get(path)
    if (!feed) {
      feed = new Feed(path, () => this.#hurry())
      this.#feeds.set(path, feed)
      this.#settle()
    }
    feed.add(listener)
    return () => {
      if (!feed.remove(listener)) return
      feed.end()
      this.#feeds.delete(path)
      this.#settle()
    }
  }

  #settle() {
    let open = 0
    for (const feed of this.#feeds.values()) feed.run(feed.isStream && ++open <= OPEN_MAX ? 'stream' : 'ask')
  }

  #hurry() {
    for (const feed of this.#feeds.values()) feed.hurry()
  }
}

class Feed {
  #path
  #onActivity
  #listeners = new Set()
  #mode = 'idle'
  #stop = () => {}
  #last
  #state = { kind: 'state', state: 'waiting', reason: '' }
  #failures = 0
  #askedAt = 0
  #isAsking = false
  #isHurried = false
  #lastText

  constructor(path, onActivity) {
    this.#path = path
    this.#onActivity = onActivity
  }

  get isStream() {
    return this.#path === ACTIVITY || this.#path.startsWith('/api/streams/')
  }

  add(listener) {
    this.#listeners.add(listener)
    listener(this.#state)
    if (this.#last) listener(this.#last)
  }

  /** Returns whether it was the last one that listened. */
  remove(listener) {
    return this.#listeners.delete(listener) && this.#listeners.size === 0
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

  /** Something changed: what is asked for is asked for now, if it was not just now. */
  hurry() {
    if (this.#mode !== 'ask' || this.#failures > 0) return
    this.#isHurried = true
    if (!this.#isAsking) this.#askAgain()
  }

  #open() {
    const source = new EventSource(this.#path)
    source.onmessage = ({ data, lastEventId }) => this.#took(JSON.parse(data), lastEventId)
    for (const name of this.#path === ACTIVITY ? ACTIVITY_EVENTS : []) {
      source.addEventListener(name, ({ data }) => {
        this.#took({ ...JSON.parse(data), event: name }, '')
        this.#onActivity()
      })
    }
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
    const problem = await this.#fetch(abort.signal).then(
      () => 'The stream ended.',
      (error) => error.message,
    )
    if (abort.signal.aborted) return
    this.#says('lost', problem)
    this.#retry(() => this.#open())
  }

  async #ask() {
    const abort = new AbortController()
    this.#stop = () => abort.abort()
    this.#askedAt = Date.now()
    this.#isAsking = true
    this.#isHurried = false
    try {
      const { text, value, id } = await this.#fetch(abort.signal)
      if (abort.signal.aborted) return
      this.#failures = 0
      // Most often nothing is new.
      if (text !== this.#lastText) this.#took(value, id)
      this.#lastText = text
      this.#says('live')
      this.#askAgain()
    } catch (error) {
      if (abort.signal.aborted) return
      this.#says('lost', error.message)
      this.#retry(() => this.#ask())
    } finally {
      this.#isAsking = false
    }
  }

  #askAgain() {
    const spacing = this.#isHurried ? ASK_SPACING_MS : ASK_EVERY_MS
    this.#later(Math.max(0, this.#askedAt + spacing - Date.now()), () => this.#ask())
  }

  async #fetch(signal) {
    const response = await fetch(this.#path.replace('/api/streams/', '/api/resources/'), {
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
      headers: { accept: 'application/json' },
    }).catch(() => Promise.reject(new Error(GONE)))
    const text = await response.text()
    const value = parse(text)
    // Health answers 503 with a body that says what is wrong: that is an answer too.
    if (!response.ok && this.#path !== '/health')
      throw new Error(value?.detail ?? `The server answers ${response.status}.`)
    return { text, value, id: response.headers.get('tidemark-position') ?? '' }
  }

  #retry(run) {
    this.#failures++
    const most = Math.min(RETRY_MIN_MS * 2 ** this.#failures, RETRY_MAX_MS)
    this.#later(most * (0.5 + Math.random() / 2), run)
  }

  #later(ms, run) {
    this.#stop()
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

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
