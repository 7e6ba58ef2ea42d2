import fastify from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { problemOf } from '../problem.js'
import { type Access, ANONYMOUS } from './access.js'
import { ACTIONS, type Action, ROLES } from './action.js'
import { checkAccess, requireActions } from './authorise.js'

let app = fastify()
afterEach(() => app.close())

/** What a request with these rights is answered, of a route that does this. */
async function outcome(action: Action | undefined, access: Access, tenant?: string, method = 'GET') {
  app = fastify()
  checkAccess(app, () => access)
  app.setErrorHandler((error, _, reply) => reply.code(problemOf(error).status).send(problemOf(error)))
  app.route({ method, url: '/', ...(action ? { config: { action } } : {}), handler: async () => ({}) })
  const headers = tenant === undefined ? {} : { 'tidemark-tenant': tenant }
  const response = await app.inject({ method: method as 'GET', url: '/', headers })
  return response.statusCode === 200 ? 'done' : response.json().code.replace('TIDEMARK_', '')
}

const of = (role: (typeof ROLES)[number], tenants: Access['tenants']): Access => ({
  actor: 'a',
  principal: 'a',
  roles: [role],
  tenants,
})

describe('a route', () => {
  it('is open to the roles that its action needs, and to no others', async () => {
    for (const [action, { role, reach }] of Object.entries(ACTIONS)) {
      for (const each of ROLES) {
        const isAllowed = reach === 'open' || reach === 'known' || ROLES.indexOf(each) >= ROLES.indexOf(role)
        expect(await outcome(action as Action, of(each, 'all')), `${action} ${each}`).toBe(
          isAllowed ? 'done' : 'FORBIDDEN',
        )
      }
    }
  })

  it('is not open to nobody, unless it is to anybody', async () => {
    for (const action of Object.keys(ACTIONS) as Action[]) {
      expect(await outcome(action, ANONYMOUS), action).toBe(action === 'open' ? 'done' : 'UNAUTHENTICATED')
    }
  })

  it('of a tenant is not there for who has another one, whatever the role', async () => {
    for (const role of ROLES) {
      expect(await outcome('read', of(role, ['mine']), 'mine')).toBe('done')
      for (const tenant of ['theirs', 'mine2', 'MINE', 'all', '*', 'default', undefined])
        for (const action of ['read', 'invalidate', 'write', 'administer', 'readResources'] as const)
          expect(await outcome(action, of(role, ['mine']), tenant), `${action} ${tenant}`).toBe('TENANT_UNKNOWN')
    }
  })

  it('of resources is of the tenant `default`, whatever the request names', async () => {
    expect(await outcome('readResources', of('admin', ['mine']), 'mine')).toBe('TENANT_UNKNOWN')
    expect(await outcome('readResources', of('viewer', ['default']), 'mine')).toBe('done')
  })

  it('of all tenants is not open to who has some', async () => {
    expect(await outcome('observe', of('admin', ['default', 'mine']))).toBe('FORBIDDEN')
    expect(await outcome('operate', of('admin', ['default', 'mine']))).toBe('FORBIDDEN')
  })

  it('reads the tenant `shared` for all, and writes it for its own', async () => {
    expect(await outcome('read', of('viewer', ['mine']), 'shared')).toBe('done')
    expect(await outcome('write', of('admin', ['mine']), 'shared')).toBe('TENANT_UNKNOWN')
    expect(await outcome('write', of('editor', ['shared']), 'shared')).toBe('done')
    expect(await outcome('read', ANONYMOUS, 'shared')).toBe('UNAUTHENTICATED')
  })

  it('of an application reads or writes, as its method says, unless it declares more', async () => {
    expect(await outcome(undefined, of('viewer', 'all'))).toBe('done')
    expect(await outcome(undefined, of('operator', 'all'), undefined, 'POST')).toBe('FORBIDDEN')
    expect(await outcome(undefined, of('editor', 'all'), undefined, 'POST')).toBe('done')
  })

  it('of ours that does not say what it does is a fault', () => {
    app = fastify()
    requireActions(app)
    expect(() => app.get('/', async () => ({}))).toThrow('does not say what it does')
  })
})
