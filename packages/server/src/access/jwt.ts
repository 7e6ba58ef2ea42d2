import { readFileSync } from 'node:fs'
import { createLocalJWKSet, createRemoteJWKSet, errors, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { OptionError } from 'tidemark'
import type { JwtConfig } from '../config/config.js'
import type { Access } from './access.js'
import { accessOfClaims } from './claims.js'
import { AccessUnknownError, UnauthenticatedError } from './errors.js'

const FETCH_MAX_MS = 3_000
const CLOCK_TOLERANCE_S = 5

/** A token's signature, issuer, audience and times, and what its claims say. */
export type VerifyJwt = (token: string) => Promise<Access>

/**
 * Verifies tokens of an issuer. Keys come from its address (or a file), never from a token; the algorithm must be one that is
 * allowed, whatever the token says.
 *
 * @throws OptionError if a file of keys cannot be read. What it returns rejects with UnauthenticatedError, AccessUnknownError.
 */
export function jwtVerifier(config: JwtConfig): VerifyJwt {
  const keys = keysOf(config.jwks)
  return async (token) => {
    const { payload } = await jwtVerify(token, keys, {
      issuer: config.issuer,
      audience: config.audience,
      algorithms: [...config.algorithms],
      requiredClaims: ['exp', config.actorClaim],
      clockTolerance: CLOCK_TOLERANCE_S,
    }).catch((cause: unknown) => {
      throw isTheirs(cause) ? new UnauthenticatedError({ cause }) : new AccessUnknownError({ cause })
    })
    return { ...accessOfClaims(payload, config), expiresAt: payload.exp! * 1_000 }
  }
}

function keysOf(jwks: string): JWTVerifyGetKey {
  if (/^https?:/.test(jwks)) return createRemoteJWKSet(new URL(jwks), { timeoutDuration: FETCH_MAX_MS })
  try {
    return createLocalJWKSet(JSON.parse(readFileSync(jwks, 'utf8')))
  } catch (cause) {
    throw new OptionError(`access.jwt.jwks: ${jwks} cannot be read as a JSON Web Key Set.`, { cause })
  }
}

/** Whether it lies in the token. What the issuer's keys could not be fetched for may be right. */
function isTheirs(error: unknown): boolean {
  const { JWKSTimeout, JWKSInvalid, JOSEError } = errors
  if (error instanceof JWKSTimeout || error instanceof JWKSInvalid) return false
  // A failed fetch is a plain JOSEError, or fetch's own TypeError.
  return error instanceof JOSEError && error.code !== 'ERR_JOSE_GENERIC'
}
