import * as oidc from 'openid-client'
import type { Clock } from 'tidemark'
import type { OidcConfig } from '../config/config.js'
import { accessOfClaims, type Claims, listOf } from './claims.js'
import { ProviderError, SignInError, UnauthenticatedError } from './errors.js'
import type { NewSession } from './session-store.js'

const ANSWER_MAX_S = 5
const CLOCK_TOLERANCE_S = 30
/** So long it is believed what the provider says of itself; and after a failure that it does not answer. */
const DESCRIBED_MS = 5 * 60_000
const FAILED_MS = 1_000
/** Sign-ins that wait for the provider at once: anybody may begin one, and the provider is not ours to load. */
const FINISHING_MAX = 20

/** What a sign-in that has begun must come back with, in the same browser. */
export interface Pending {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

interface Described {
  readonly server: Promise<oidc.ServerMetadata>
  readonly until: number
}

/**
 * Signs people in at an OIDC provider: authorisation code flow with PKCE, `state` and `nonce`. The provider is asked only when somebody
 * signs in; the server starts and runs without it.
 */
export class Provider {
  readonly #config: OidcConfig
  readonly #clock: Clock
  #described: Described | undefined
  #known: oidc.ServerMetadata | undefined
  #finishing = 0

  constructor(config: OidcConfig, clock: Clock) {
    this.#config = config
    this.#clock = clock
  }

  /**
   * Where to send the browser, and what to keep in it.
   *
   * @throws ProviderError
   */
  async begin(redirectUri: string): Promise<{ readonly url: string; readonly pending: Pending }> {
    const client = await this.#client()
    const pending = { state: oidc.randomState(), nonce: oidc.randomNonce(), verifier: oidc.randomPKCECodeVerifier() }
    const url = oidc.buildAuthorizationUrl(client, {
      redirect_uri: redirectUri,
      scope: this.#config.scopes.join(' '),
      state: pending.state,
      nonce: pending.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(pending.verifier),
      code_challenge_method: 'S256',
    })
    return { url: url.href, pending }
  }

  /**
   * Who has come back.
   *
   * @param returned  the address with which they did: its parameters are the provider's answer
   * @throws SignInError; ProviderError
   */
  async finish(returned: URL, { state, nonce, verifier }: Pending): Promise<NewSession> {
    if (this.#finishing >= FINISHING_MAX)
      throw new ProviderError(`${FINISHING_MAX} sign-ins wait for the identity provider. Sign in again in a moment.`)
    this.#finishing++
    try {
      const client = await this.#client()
      const tokens = await oidc.authorizationCodeGrant(client, returned, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      })
      const signed = tokens.claims()!
      return this.#sessionOf({ ...(await this.#told(client, tokens.access_token, signed.sub, signed)), ...signed })
    } catch (error) {
      throw understood(error)
    } finally {
      this.#finishing--
    }
  }

  /** Where somebody ends what the provider knows of them; undefined if it does not say, or was not asked yet. */
  signOutUrl(): string | undefined {
    const { end_session_endpoint: address } = this.#known ?? {}
    if (address === undefined || !URL.canParse(address)) return undefined
    const url = new URL(address)
    url.searchParams.set('client_id', this.#config.clientId)
    return url.href
  }

  /** Many providers tell groups and names only when they are asked for them. */
  async #told(client: oidc.Configuration, accessToken: string, subject: string, signed: Claims): Promise<Claims> {
    const { actorClaim, rolesClaim, tenantsClaim, tenants } = this.#config
    const needed = [actorClaim, rolesClaim, ...(tenants === undefined ? [tenantsClaim] : [])]
    if (needed.every((name) => name in signed) || client.serverMetadata().userinfo_endpoint === undefined) return {}
    return oidc.fetchUserInfo(client, accessToken, subject)
  }

  #sessionOf(claims: Claims): NewSession {
    const { rolesClaim, roles: map, tenants, sessionMs } = this.#config
    const mapped = map && listOf(claims[rolesClaim]).flatMap((group) => (Object.hasOwn(map, group) ? map[group]! : []))
    const access = accessOfClaims({ ...claims, ...(mapped ? { [rolesClaim]: mapped } : {}) }, this.#config)
    return {
      name: access.actor,
      principal: access.principal.replace(/^jwt:/, 'oidc:'),
      roles: access.roles,
      tenants: tenants ?? access.tenants,
      expiresInMs: sessionMs,
    }
  }

  /** A new one each time: with the keys that the provider has now, however lately it changed them. */
  async #client(): Promise<oidc.Configuration> {
    const { issuer, clientId, clientSecret } = this.#config
    const server = await this.#describe().catch((error: unknown) => {
      throw understood(error)
    })
    const metadata = {
      [oidc.clockTolerance]: CLOCK_TOLERANCE_S,
      ...(clientSecret === undefined ? {} : { client_secret: clientSecret }),
    }
    const client = new oidc.Configuration(server, clientId, metadata, authenticationOf(server, clientSecret))
    client.timeout = ANSWER_MAX_S
    // Only of this machine: the configuration says no other.
    if (issuer.startsWith('http:')) oidc.allowInsecureRequests(client)
    // The signature counts, not only the connection over which the token came.
    oidc.enableNonRepudiationChecks(client)
    return client
  }

  /** What the provider says of itself: asked for once for many. */
  #describe(): Promise<oidc.ServerMetadata> {
    const now = this.#clock.now()
    if (this.#described && now < this.#described.until) return this.#described.server
    const { issuer, clientId } = this.#config
    const isPlain = issuer.startsWith('http:')
    const server = oidc
      .discovery(new URL(issuer), clientId, undefined, undefined, {
        timeout: ANSWER_MAX_S,
        ...(isPlain ? { execute: [oidc.allowInsecureRequests] } : {}),
      })
      .then((found) => {
        this.#known = found.serverMetadata()
        return this.#known
      })
    this.#described = { server, until: now + DESCRIBED_MS }
    server.catch(() => {
      this.#described = { server, until: this.#clock.now() + FAILED_MS }
    })
    return server
  }
}

/** As the provider says that it wants it; where it says nothing, `client_secret_basic` is the standard's. */
function authenticationOf(server: oidc.ServerMetadata, secret: string | undefined): oidc.ClientAuth {
  if (secret === undefined) return oidc.None()
  const methods = server.token_endpoint_auth_methods_supported
  return methods && !methods.includes('client_secret_basic')
    ? oidc.ClientSecretPost(secret)
    : oidc.ClientSecretBasic(secret)
}

/** What lies in the sign-in, and what in the provider, its address, or what it was told of this server. */
const OF_PROVIDER = new Set([
  'OAUTH_TIMEOUT',
  'OAUTH_ABORT',
  'OAUTH_RESPONSE_IS_NOT_CONFORM',
  'OAUTH_RESPONSE_IS_NOT_JSON',
  'OAUTH_PARSE_ERROR',
  'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED',
  'OAUTH_MISSING_SERVER_METADATA',
  'OAUTH_INVALID_SERVER_METADATA',
  'OAUTH_HTTP_REQUEST_FORBIDDEN',
])
const OF_SETTINGS = new Set(['invalid_client', 'unauthorized_client', 'invalid_scope', 'unsupported_response_type'])
const OF_ITSELF = new Set(['server_error', 'temporarily_unavailable'])

function understood(cause: unknown): ProviderError | SignInError {
  if (cause instanceof ProviderError || cause instanceof SignInError) return cause
  if (cause instanceof UnauthenticatedError)
    return new SignInError('What the identity provider tells has no name for you in access.oidc.actorClaim.', { cause })
  const said = saidBy(cause)
  if (said !== undefined && OF_SETTINGS.has(said))
    return new ProviderError(
      `The identity provider does not accept this server (${said}). See what it knows of access.oidc.clientId, its secret, scopes and redirect address.`,
      { cause },
    )
  if (said !== undefined && OF_ITSELF.has(said))
    return new ProviderError(`The identity provider cannot sign anybody in now (${said}). Sign in again in a moment.`, {
      cause,
    })
  if (said !== undefined)
    return new SignInError(`The identity provider did not sign you in (${said}). Begin again at /auth/sign-in.`, {
      cause,
    })
  const isOfProvider = !(cause instanceof oidc.ClientError) || cause.code === undefined || OF_PROVIDER.has(cause.code)
  if (isOfProvider)
    return new ProviderError(
      'The identity provider does not answer as it should. See whether access.oidc.issuer is right and reachable from this server; sign in again in a moment.',
      { cause },
    )
  return new SignInError(
    'What the identity provider answered does not belong to a sign-in that was begun here. Begin again at /auth/sign-in.',
    { cause },
  )
}

/** What a provider calls what is wrong, if it says so. */
function saidBy(cause: unknown): string | undefined {
  // So a client is refused that has authenticated itself by a header.
  if (cause instanceof oidc.WWWAuthenticateChallengeError) return 'invalid_client'
  if (!(cause instanceof oidc.ResponseBodyError || cause instanceof oidc.AuthorizationResponseError)) return undefined
  return /^[\w.-]{1,60}$/.test(cause.error) ? cause.error : 'an error without a name'
}
