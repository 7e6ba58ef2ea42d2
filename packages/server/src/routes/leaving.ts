import type { FastifyReply } from 'fastify'

/** Aborts when the client has gone before it was answered. */
export function leaving(reply: FastifyReply): AbortSignal {
  const left = new AbortController()
  reply.raw.once('close', () => left.abort())
  return left.signal
}
