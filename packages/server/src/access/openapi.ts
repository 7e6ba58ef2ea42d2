import { jsonSchemaTransform } from 'fastify-type-provider-zod'
import { ACTIONS, type Action } from './action.js'

/** How who asks is said, as the API's document has it. */
export const SECURITY_SCHEMES = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    description:
      'A token of `tidemark tokens create`, or a JWT of the issuer that is configured; where none is asked for, none',
  },
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: '__Host-tidemark-session',
    description:
      'Of who has signed in at /auth/sign-in (without TLS: `tidemark-session`); beside it, what changes something needs the header `Tidemark-Csrf: 1`',
  },
} as const

/** Says of each route in the API's document whether it needs a token, what it does, and the least role for that. */
export const describeAccess: typeof jsonSchemaTransform = (input) => {
  const { schema, url } = jsonSchemaTransform(input)
  const action = (input.route.config as { readonly action?: Action } | undefined)?.action
  if (action === undefined || !schema) return { schema, url }
  const { role, reach } = ACTIONS[action]
  const isOpen = reach === 'open'
  return {
    schema: {
      ...schema,
      security: isOpen ? [] : [{ bearer: [] }, { session: [] }],
      'x-tidemark-action': action,
      ...(isOpen || reach === 'known' ? {} : { 'x-tidemark-role': role }),
    },
    url,
  }
}
