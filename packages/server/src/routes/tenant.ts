import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { ParameterError } from '../errors.js'

const DEFAULT_TENANT = 'default'
const TENANT_MAX = 256

/** For routes that have to do with entries, as the API's document describes them. */
export const tenantParameter = z
  .string()
  .optional()
  .describe('The tenant whose entries are meant; the header `Tidemark-Tenant` says the same. Default: `default`')

export const tenantHeaders = z.looseObject({ 'tidemark-tenant': z.string().optional() })

/**
 * The tenant that a request names: in its path where that has one, else by `?tenant=`, or the header `Tidemark-Tenant`; else `default`.
 * Whether who asks may go there has been checked before a route runs.
 *
 * @throws ParameterError if it is none, or if two of them differ
 */
export function tenantOf(request: FastifyRequest): string {
  const inPath = (request.params as { readonly tenant?: unknown } | undefined)?.tenant
  const inQuery = (request.query as { readonly tenant?: unknown } | undefined)?.tenant
  const inHeader = request.headers['tidemark-tenant']
  const named = [inPath, inQuery, inHeader].filter((each) => each !== undefined)
  if (new Set(named).size > 1) throw problem('is named twice, and not the same: by the path, the query or the header')
  const tenant = named[0] ?? DEFAULT_TENANT
  if (typeof tenant !== 'string' || tenant === '' || tenant.length > TENANT_MAX || !isPrintable(tenant))
    throw problem(`is one text of 1 to ${TENANT_MAX} characters, without control characters`)
  return tenant
}

function isPrintable(text: string): boolean {
  return text.isWellFormed() && !/[\u0000-\u001f]/.test(text)
}

function problem(message: string): ParameterError {
  return new ParameterError([{ parameter: 'tenant', message }])
}
