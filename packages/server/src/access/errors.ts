import { TidemarkError } from 'tidemark'
import type { Role } from './action.js'

/** The request does not say who asks, or what it says is not believed: never which of the two, nor why. */
export class UnauthenticatedError extends TidemarkError {
  readonly code = 'TIDEMARK_UNAUTHENTICATED'
  constructor(options?: ErrorOptions) {
    super(
      'This needs a valid token. Send one as `Authorization: Bearer …`; `tidemark tokens create` makes them.',
      options,
    )
  }
}

/** Whether a token still counts is not known now: the database, or the issuer's keys, cannot be reached. */
export class AccessUnknownError extends TidemarkError {
  readonly code = 'TIDEMARK_ACCESS_UNKNOWN'
  constructor(options?: ErrorOptions) {
    super(
      'Whether this token counts cannot be found out now: what it is checked with does not answer. Ask again.',
      options,
    )
  }
}

/** Who asks is known, and may not do this. */
export class ForbiddenError extends TidemarkError {
  readonly code = 'TIDEMARK_FORBIDDEN'
  constructor(
    readonly role: Role,
    readonly isForAllTenants: boolean,
  ) {
    super(`This needs the role ${role}${isForAllTenants ? ' for all tenants' : ''}. Ask whoever gives out tokens.`)
  }
}

/** Who asks has done as much as they may for now. */
export class RateError extends TidemarkError {
  readonly code = 'TIDEMARK_RATE'
  constructor(
    readonly limit: keyof typeof RATES,
    readonly retryInMs: number,
  ) {
    super(RATES[limit])
  }
}

const RATES = {
  requests:
    'That is more than you may do for now: requests count, and the keys that they touch. Wait as Retry-After says, on a socket a second.',
  patterns: 'That is more patterns than this tenant may ask for in a second. Wait as Retry-After says.',
  messages:
    'That is more than a socket may send in a second (socketio.messages), so it was closed. Connect again, and send less at once.',
} as const

/** There is no such tenant, as far as who asks may know. */
export class UnknownTenantError extends TidemarkError {
  readonly code = 'TIDEMARK_TENANT_UNKNOWN'
  constructor() {
    super('There is no such tenant. Name another one with ?tenant= or the header Tidemark-Tenant.')
  }
}

/** Tokens are made and revoked where they are asked for. */
export class TokensOffError extends TidemarkError {
  readonly code = 'TIDEMARK_TOKENS_OFF'
  constructor() {
    super('This server does not ask for tokens of its own. Set access.tokens in the configuration.')
  }
}

/** There is none of this id, or it counts where who asks decides nothing: that is not told apart. */
export class UnknownTokenError extends TidemarkError {
  readonly code = 'TIDEMARK_TOKEN_UNKNOWN'
  constructor() {
    super('There is no such token among yours. GET /api/tokens lists them; the id is not the token itself.')
  }
}

/** Nobody can sign in here. */
export class SignInOffError extends TidemarkError {
  readonly code = 'TIDEMARK_SIGN_IN_OFF'
  constructor() {
    super('Nobody can sign in to this server. Set access.oidc in the configuration, or send a token.')
  }
}

/** Who wanted to sign in did not: the provider refused, or what came back is not what was begun in this browser. */
export class SignInError extends TidemarkError {
  readonly code = 'TIDEMARK_SIGN_IN'
}

/** The identity provider cannot be asked now, or does not answer as one. */
export class ProviderError extends TidemarkError {
  readonly code = 'TIDEMARK_PROVIDER'
}

/** A page's request came with a session's cookie alone, as it would from a page of others. */
export class CsrfError extends TidemarkError {
  readonly code = 'TIDEMARK_CSRF'
  constructor() {
    super(
      'What changes something needs the header `Tidemark-Csrf: 1` beside a session: a page of others cannot send it. Nothing was changed.',
    )
  }
}

/** There is no such session. */
export class UnknownSessionError extends TidemarkError {
  readonly code = 'TIDEMARK_SESSION_UNKNOWN'
  constructor() {
    super('There is no such session: it has ended, or never was. GET /api/sessions lists those that count.')
  }
}
