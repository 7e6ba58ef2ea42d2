import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { PortTakenError } from './errors.js'

/** Where a server listens that was not told where. */
export const DEFAULT_PORT = 9400
const NEXT_PORTS = 20

/**
 * Listens on `port`; where none was asked for, on the default or the next free one.
 *
 * @returns the port
 * @throws PortTakenError (`TIDEMARK_PORT_TAKEN`)
 */
export async function listen(app: FastifyInstance, host: string, port: number | undefined): Promise<number> {
  const first = port ?? DEFAULT_PORT
  const last = port === undefined ? DEFAULT_PORT + NEXT_PORTS : first
  for (let candidate = first; ; candidate++) {
    try {
      await app.listen({ host, port: candidate })
      return (app.server.address() as AddressInfo).port
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause
      if (candidate === last) throw new PortTakenError(first, host, { cause })
    }
  }
}
