import { isUtf8 } from 'node:buffer'
import type { FastifyRequest } from 'fastify'
import { RequestError } from '../errors.js'

/**
 * Of these Node takes the first, or puts several into one text; a proxy before the server may have taken another. Bytes beyond ASCII it reads
 * as Latin-1, which was UTF-8 where they come from.
 */
const ONCE = new Set(['host', 'authorization', 'content-type', 'content-encoding', 'idempotency-key', 'last-event-id'])
const OURS = 'tidemark-'

/**
 * Lets through only what everybody reads in the same way, so that no proxy checks another request than the server answers, and no key or
 * value becomes another one on its way. Nothing is corrected.
 *
 * @throws RequestError (`TIDEMARK_REQUEST`)
 */
export function requireOneMeaning({ raw, protocol }: FastifyRequest): void {
  const url = raw.url ?? ''
  const { host } = raw.headers
  // Sent to proxies: then what the address says counts, not the header.
  if (!url.startsWith('/') && url !== '*' && !url.toLowerCase().startsWith(`${protocol}://${host?.toLowerCase()}/`))
    throw new RequestError('TIDEMARK_REQUEST', 'The address of the request names another server than its Host header.')
  const query = url.indexOf('?')
  if (query >= 0 && url.includes('%', query) && !isDecodable(url.slice(query)))
    throw new RequestError('TIDEMARK_REQUEST', 'The query is not UTF-8, percent-encoded: write % as %25.')
  const seen = new Set<string>()
  for (let i = 0; i < raw.rawHeaders.length; i += 2) {
    const name = raw.rawHeaders[i]!.toLowerCase()
    if (!ONCE.has(name) && !name.startsWith(OURS)) continue
    if (seen.has(name)) throw new RequestError('TIDEMARK_REQUEST', `The header ${name} may be sent once.`)
    seen.add(name)
    if (/[^\t -~]/.test(raw.rawHeaders[i + 1]!))
      throw new RequestError(
        'TIDEMARK_REQUEST',
        `The header ${name} is not ASCII: send what is not in the query or the body.`,
      )
  }
}

/** Reads the text of a body, for Fastify's parsers of content types, in which nothing may be thrown. */
export function readText(
  request: FastifyRequest,
  body: Buffer,
  done: (error: Error | null, text?: string) => void,
): void {
  const refused = whyNotText(request, body)
  if (refused) done(refused)
  else done(null, body.toString())
}

function whyNotText({ headers }: FastifyRequest, body: Buffer): RequestError | undefined {
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  if (encoding !== 'identity')
    return new RequestError('TIDEMARK_MEDIA_TYPE', 'Send the body as it is, without Content-Encoding.')
  const [, charset = 'utf-8'] = /;\s*charset="?([^\s;"]+)/i.exec(headers['content-type'] ?? '') ?? []
  if (!/^(?:utf-?8|us-ascii)$/i.test(charset)) return new RequestError('TIDEMARK_MEDIA_TYPE', 'Send the body in UTF-8.')
  return isUtf8(body)
    ? undefined
    : new RequestError('TIDEMARK_REQUEST', 'The body is not UTF-8. Nothing of it was read.')
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}
