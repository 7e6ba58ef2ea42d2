import type { FastifyRequest } from 'fastify'
import type { Role } from './action.js'

/** Who asks, and what they may do: each of the roles in each of the tenants. */
export interface Access {
  /** A name for people, which the journal has. */
  readonly actor: string
  /** Who it is: one for each token, and for each subject of an issuer. */
  readonly principal: string
  readonly roles: readonly Role[]
  readonly tenants: readonly string[] | 'all'
  /** Nobody said who asks: only what is open to all. */
  readonly isAnonymous?: boolean
  /** Of a token in the database, which can be revoked. */
  readonly tokenId?: string
  /** Of somebody who has signed in, until they sign out. */
  readonly sessionId?: string
  /** When it ends, in ms since 1970. */
  readonly expiresAt?: number
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before any route runs; read it with `accessOf`. */
    access: Access | undefined
  }
}

/** Where nobody needs a token, only programs on this machine come through: they may do everything. */
export const LOCAL: Access = { actor: 'local', principal: 'local', roles: ['admin'], tenants: 'all' }

/** Nobody said who asks. */
export const ANONYMOUS: Access = {
  actor: 'anonymous',
  principal: 'anonymous',
  roles: [],
  tenants: [],
  isAnonymous: true,
}

/** Who asks. Known before any route or hook of an application runs. */
export function accessOf(request: FastifyRequest): Access {
  if (!request.access) throw new Error('A request was served before it was known who asks.')
  return request.access
}
