import type { FastifyRequest } from 'fastify'
import type { By } from 'tidemark'
import { accessOf, LOCAL } from '../access/access.js'

/**
 * Who asks and why, as the journal has it. Whoever was identified is named, whatever the request says: a name in it is believed
 * only where nobody needs a token, and told as the cause elsewhere.
 */
export function byOf(
  request: FastifyRequest,
  said: { readonly triggeredBy?: string | undefined; readonly cause?: string | undefined },
): By {
  const access = accessOf(request)
  const { triggeredBy, cause } = said
  if (triggeredBy === undefined) return { actor: access.actor, ...(cause === undefined ? {} : { cause }) }
  return access === LOCAL ? { actor: triggeredBy } : { actor: access.actor, cause: `triggered by ${triggeredBy}` }
}
