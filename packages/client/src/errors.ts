/** What a server refuses (its RFC 9457 problem), or that it cannot be reached. Stable: `code`. */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  constructor(
    /** As docs/errors.md lists them: `TIDEMARK_TREE_VERSION`; `TIDEMARK_UNREACHABLE` where no server answers. */
    readonly code: string,
    message: string,
    /** The HTTP status; 0 where there was no answer. */
    readonly status: number,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }

  /** Asking again may help: the server is away, busy or behind. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

export function unreachable(url: string, cause: unknown): ClientError {
  const { message } = cause as Error
  return new ClientError('TIDEMARK_UNREACHABLE', `No Tidemark server answers at ${url}: ${message}`, 0, { cause })
}

/** Reads the problem of an answer that is none. */
export async function problemOf(url: string, response: Response): Promise<ClientError> {
  const text = await response.text().catch(() => '')
  const { code, detail } = read(text)
  if (typeof code === 'string' && typeof detail === 'string') return new ClientError(code, detail, response.status)
  const message = `${url} answers ${response.status}, and not as Tidemark does.`
  return new ClientError('TIDEMARK_UNREACHABLE', message, response.status)
}

function read(text: string): { code?: unknown; detail?: unknown } {
  try {
    return (JSON.parse(text) ?? {}) as { code?: unknown; detail?: unknown }
  } catch {
    return {}
  }
}
