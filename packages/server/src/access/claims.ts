import type { Access } from './access.js'
import { ROLES, type Role } from './action.js'
import { UnauthenticatedError } from './errors.js'

/** Which claims say who it is and what they may do. */
export interface ClaimNames {
  readonly issuer: string
  readonly actorClaim: string
  readonly rolesClaim: string
  readonly tenantsClaim: string
}

/** What an issuer has signed, or told over a connection of its own. */
export type Claims = Readonly<Record<string, unknown>> & { readonly sub?: string | undefined }

const TENANTS_MAX = 1_000
const NAME_MAX = 256

/**
 * Who it is, and what they may do. Roles that we do not have are none of ours to judge; `*` among the tenants is all of them.
 *
 * @throws UnauthenticatedError if the claims do not say who it is
 */
export function accessOfClaims(claims: Claims, { issuer, actorClaim, rolesClaim, tenantsClaim }: ClaimNames): Access {
  const actor = claims[actorClaim]
  if (
    typeof actor !== 'string' ||
    !/^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+$/.test(actor) ||
    actor.length > NAME_MAX
  )
    throw new UnauthenticatedError()
  const roles = listOf(claims[rolesClaim])
  const tenants = listOf(claims[tenantsClaim]).slice(0, TENANTS_MAX)
  return {
    actor,
    principal: `jwt:${JSON.stringify([issuer, claims.sub ?? actor])}`,
    roles: ROLES.filter((role: Role) => roles.includes(role)),
    tenants: tenants.includes('*') ? 'all' : tenants,
  }
}

/** A list, or words with spaces between, as scopes are. */
export function listOf(claim: unknown): readonly string[] {
  if (typeof claim === 'string') return claim.split(' ').filter(Boolean)
  return Array.isArray(claim) ? claim.filter((each) => typeof each === 'string' && each !== '') : []
}
