import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { temporaryFolder } from './serving.js'

export const ISSUER = 'https://login.example/'
export const AUDIENCE = 'tidemark'

/** An identity provider: its keys in a file, and what it signs. */
export async function startIssuer() {
  const folder = temporaryFolder()
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }
  const jwks = folder.write('keys.json', JSON.stringify({ keys: [jwk] }))
  return {
    jwks,
    jwk,
    privateKey,
    /** What stands in tidemark.yaml. */
    config: `access: { jwt: { issuer: "${ISSUER}", audience: ${AUDIENCE}, jwks: "${jwks}" } }\n`,
    /** Signed claims; those that are given go before the usual ones. */
    sign(claims: JWTPayload = {}, key: Parameters<SignJWT['sign']>[0] = privateKey, header = {}): Promise<string> {
      const now = Math.floor(Date.now() / 1_000)
      const usual = { iss: ISSUER, aud: AUDIENCE, sub: 'ann', exp: now + 600, roles: ['viewer'], tenants: ['default'] }
      return new SignJWT({ ...usual, ...claims }).setProtectedHeader({ alg: 'ES256', kid: 'k1', ...header }).sign(key)
    },
    close: () => folder.remove(),
  }
}
