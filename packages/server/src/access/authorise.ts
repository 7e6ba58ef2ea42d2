import type { FastifyInstance, FastifyRequest } from 'fastify'
import { tenantOf } from '../routes/tenant.js'
import { type Access, accessOf } from './access.js'
import { ACTIONS, type Action, hasRole } from './action.js'
import { ForbiddenError, UnauthenticatedError, UnknownTenantError } from './errors.js'

/** Where what belongs to no tenant of its own is: the cache's own tenant. */
const DEFAULT_TENANT = 'default'
/** Read by all, written by its own roles. */
const SHARED_TENANT = 'shared'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route does. Without one: `read` for GET and HEAD, else `write`. */
    action?: Action
  }
}

/**
 * Lets a request through only if who asks may do what its route does. The one place where that is decided, for whatever
 * comes over HTTP: answers, streams and sockets alike (what a socket then asks for, `permit` decides by the same table). `identify` says who asks; it may take time, and throw.
 */
export function checkAccess(
  app: FastifyInstance,
  identify: (request: FastifyRequest) => Access | Promise<Access>,
): void {
  app.decorateRequest('access', undefined)
  app.addHook('onRequest', async (request) => {
    request.access = await identify(request)
    authoriseRoute(request)
  })
}

/** Our own routes say what they do: one that does not is a fault of the program's. */
export function requireActions(app: FastifyInstance): void {
  app.addHook('onRoute', ({ config, method, url }) => {
    if (config?.action === undefined) throw new Error(`The route ${String(method)} ${url} does not say what it does.`)
  })
}

/**
 * Whether who asks may do this in a tenant. Tenants are told apart by who asks alone, never by what is in them: so one of
 * others and one that nobody has used are answered by the same code.
 *
 * @throws UnauthenticatedError; UnknownTenantError; ForbiddenError
 */
export function authorise(request: FastifyRequest, action: Action, tenant: string): void {
  permit(accessOf(request), action, tenant)
}

/** The same of who has come, by whatever way. */
export function permit({ roles, tenants, isAnonymous }: Access, action: Action, tenant: string): void {
  const { role, reach } = ACTIONS[action]
  if (reach === 'open') return
  if (isAnonymous) throw new UnauthenticatedError()
  const isForAll = tenants === 'all'
  if (reach === 'known') return
  if (reach === 'server') {
    if (!isForAll || !hasRole(roles, role)) throw new ForbiddenError(role, true)
    return
  }
  const isReadOfShared = action === 'read' && tenant === SHARED_TENANT
  if (!isForAll && !isReadOfShared && !tenants.includes(tenant)) throw new UnknownTenantError()
  if (!hasRole(roles, role)) throw new ForbiddenError(role, false)
}

function authoriseRoute(request: FastifyRequest): void {
  if (request.is404) return
  authorise(request, actionOf(request), tenantOfRoute(request))
}

/** Where a request acts: in the tenant that it names, or in `default` where its route has no other. */
export function tenantOfRoute(request: FastifyRequest): string {
  return ACTIONS[actionOf(request)].reach === 'tenant' ? tenantOf(request) : DEFAULT_TENANT
}

function actionOf({ routeOptions, method }: FastifyRequest): Action {
  return routeOptions.config.action ?? (isRead(method) ? 'read' : 'write')
}

/** Whether a request asks for what is open to anybody, known or not. */
export function isOpenTo(request: FastifyRequest): boolean {
  return request.is404 || ACTIONS[actionOf(request)].reach === 'open'
}

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}
