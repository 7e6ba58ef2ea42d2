import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ParameterError } from '../errors.js'
import { readSubscribe, readUnsubscribe } from './socket-messages.js'

const NODES = ['as', 'config', 'exact', 'from', 'kind', 'path', 'tenant']
const RESOURCE = ['as', 'from', 'kind', 'parameters', 'resource']

const name = fc.constantFrom(
  ...['tenant', 'config', 'path', 'exact', 'as', 'from', 'resource', 'parameters', 'subscription'],
  ...['__proto__', 'constructor', 'toString', 'kind', '', '\0'],
)
const odd = fc.oneof(
  fc.constantFrom<unknown>('T1', 'value', 'patch', 'text', '/a/*', true, null, undefined, '\0', '__proto__'),
  fc.constantFrom<unknown>('x'.repeat(10_000), {}, [], () => {}, Number.NaN, Buffer.from('x')),
  fc.anything({ maxDepth: 2 }),
)
// As JSON has it: each member is its own, also `__proto__`.
const message = fc
  .array(fc.tuple(name, fc.oneof(odd, fc.dictionary(name, odd, { maxKeys: 3 }))), { maxLength: 8 })
  .map((members) => {
    const made: object = {}
    for (const [key, value] of members)
      Object.defineProperty(made, key, { value, enumerable: true, configurable: true, writable: true })
    return made
  })

/** It might be wrong by throwing what is no answer, by letting through what is not of the form, or by changing what all objects inherit. */
it('whatever a client sends is read as what it may ask for, or refused in a few words', () => {
  fc.assert(
    fc.property(fc.oneof(message, odd), (input) => {
      for (const read of [readSubscribe, readUnsubscribe]) {
        try {
          const wanted = read(input)
          if (typeof wanted === 'string') {
            expect(wanted.length).toBeLessThanOrEqual(256)
            continue
          }
          expect(Object.keys(wanted).sort()).toEqual(wanted.kind === 'nodes' ? NODES : RESOURCE)
          expect(JSON.stringify(wanted).length).toBeLessThan(100_000)
          if (wanted.kind === 'resource')
            for (const value of Object.values(wanted.parameters)) expect(value).toBeTypeOf('string')
          else for (const text of [wanted.tenant, wanted.config, wanted.path]) expect(text).toBeTypeOf('string')
        } catch (error) {
          expect(error).toBeInstanceOf(ParameterError)
          expect((error as Error).message.length).toBeLessThan(10_000)
        }
      }
      expect(({} as Record<string, unknown>)['polluted']).toBe(undefined)
      expect(Object.keys(Object.prototype)).toEqual([])
    }),
    {
      numRuns: Number(process.env['FC_RUNS'] ?? 2_000),
      ...(process.env['FC_SEED'] ? { seed: Number(process.env['FC_SEED']) } : {}),
    },
  )
})

it('what is asked for in full is read as it is', () => {
  const wanted = { tenant: 'T1', config: 'C1', path: '/a/*', exact: true, as: 'text', from: 'x' }
  expect(readSubscribe(wanted)).toEqual({ kind: 'nodes', ...wanted })
  expect(readSubscribe({ resource: 'post', parameters: { id: 7, all: true } })).toEqual({
    kind: 'resource',
    resource: 'post',
    parameters: { id: '7', all: 'true' },
    as: 'value',
    from: undefined,
  })
})
