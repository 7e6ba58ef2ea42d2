import { ClientError } from './errors.js'
import type { Http, Query } from './http.js'

export interface ServerEvent {
  readonly event: string
  readonly data: string
}

export interface EventsOptions {
  readonly query: Query
  readonly signal?: AbortSignal | undefined
  /** The stream broke, and is opened again by itself; with what happened. */
  readonly onLost?: ((error: unknown) => void) | undefined
}

const RETRY_MS = 1_000
const BACKOFF_MAX_MS = 30_000
/** The server sends a comment every 15 s at least: a stream that says nothing for this long is dead, though nobody told. */
const SILENCE_MAX_MS = 60_000

/**
 * The events of a stream, for ever: where it ends it is opened again, and taken up where it was. `fetch`, not the browser's EventSource, as that
 * cannot send a token.
 *
 * @throws ClientError for what asking again does not mend; what `signal` was aborted with
 */
export async function* events(http: Http, path: string, options: EventsOptions): AsyncGenerator<ServerEvent> {
  const { query, signal, onLost } = options
  const place = { id: undefined as string | undefined, retryMs: RETRY_MS }
  let failures = 0
  for (;;) {
    signal?.throwIfAborted()
    try {
      const headers = { accept: 'text/event-stream', 'last-event-id': place.id }
      for await (const event of stream(http, path, query, headers, signal, place)) {
        failures = 0
        yield event
      }
      onLost?.(undefined)
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof ClientError) || !error.isPassing) throw error
      failures += 1
      onLost?.(error)
    }
    const backoffMs = failures === 0 ? 0 : Math.min(RETRY_MS * 2 ** (failures - 1), BACKOFF_MAX_MS)
    // Half of it is left to chance, so that clients of a server that went away do not come back all at once.
    await pause(Math.max(place.retryMs, backoffMs) * (0.5 + Math.random() / 2), signal)
  }
}

async function* stream(
  http: Http,
  path: string,
  query: Query,
  headers: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal | undefined,
  place: { id: string | undefined; retryMs: number },
): AsyncGenerator<ServerEvent> {
  const silence = new AbortController()
  const both = signal ? AbortSignal.any([signal, silence.signal]) : silence.signal
  let timer = setTimeout(() => silence.abort(), SILENCE_MAX_MS)
  try {
    const { body } = await http.send(path, { query, headers, signal: both })
    const reader = body!.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ''
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw lost(cause)
      })
      if (done) return
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(), SILENCE_MAX_MS)
      const blocks = (rest + value).split('\n\n')
      rest = blocks.pop()!
      for (const block of blocks) {
        const { id, retry, event = 'message', data } = fields(block)
        if (id !== undefined) place.id = id
        if (retry !== undefined && /^\d+$/.test(retry)) place.retryMs = Number(retry)
        if (event === 'problem') throw refused(data ?? '')
        if (data !== undefined) yield { event, data }
      }
    }
  } catch (error) {
    throw silence.signal.aborted ? lost(error) : error
  } finally {
    clearTimeout(timer)
    // Whoever stops reading lets the connection go.
    silence.abort()
  }
}

function fields(block: string): Partial<Record<'id' | 'retry' | 'event' | 'data', string>> {
  const found: Partial<Record<string, string>> = {}
  for (const line of block.split('\n')) {
    const [, name, value] = /^([a-z]+): ?(.*)$/s.exec(line) ?? []
    if (name === undefined) continue
    found[name] = name === 'data' && found.data !== undefined ? `${found.data}\n${value}` : value!
  }
  return found
}

/** The server says that asking again will not help. */
function refused(data: string): ClientError {
  const { code, detail } = JSON.parse(data) as { code: string; detail: string }
  return new ClientError(code, detail, 400)
}

function lost(cause: unknown): ClientError {
  return new ClientError('TIDEMARK_UNREACHABLE', 'The stream broke off.', 0, { cause })
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal!.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}
