import { expect, it } from 'vitest'
import { Judge, type Operation } from './openapi-fuzz.js'

const schema = {
  type: 'object',
  properties: { kept: { type: 'boolean' } },
  required: ['kept'],
  additionalProperties: false,
}
const operation: Operation = {
  method: 'GET',
  path: '/x',
  action: 'read',
  parameters: [],
  body: {},
  isStream: false,
  responses: {
    200: { content: { 'application/json': { schema } }, headers: { ETag: {} } },
    default: { content: { 'application/problem+json': {} } },
  },
}
const well = { status: 200, headers: { 'content-type': 'application/json', etag: '"1"' }, text: '{"kept":true}' }
const [judge, json] = [new Judge(), well.headers]

it('an answer that the document has is right', () => {
  expect(judge.faultsOf(operation, well)).toEqual([])
})

it.each([
  ['a property that is not in the document', { text: '{"kept":true,"more":1}' }, /additional properties/],
  ['a property of another type', { text: '{"kept":"yes"}' }, /must be boolean/],
  ['a property that is missing', { text: '{}' }, /required property/],
  ['no JSON', { text: '{' }, /no JSON/],
  ['another status', { status: 201 }, /a status that/],
  ['another type', { headers: { 'content-type': 'text/html' } }, /a type that/],
  ['another header', { headers: { ...json, 'x-more': '1' } }, /a header that.*x-more/],
  ['an error that is no problem', { status: 404, text: '{}' }, /no problem/],
  ['a failure', { status: 500 }, /the server failed/],
])('the judge tells %s', (_, wrong, fault) => {
  expect(judge.faultsOf(operation, { ...well, ...wrong }).join('\n')).toMatch(fault)
})
