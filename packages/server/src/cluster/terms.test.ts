import { expect, test } from 'vitest'
import { parseConfig } from '../config/load.js'
import { differencesOf, termsOf } from './terms.js'

const terms = (text = '') => termsOf(parseConfig(`resources: {}\n${text}`))

test('what is left out is the same as its default', () => {
  const said =
    'cache: { maxSilence: 5000ms }\nsource: { slot: s, publication: tidemark }\nrelay: { redis: "redis://a", stream: "tidemark:relay" }\nl2: { redis: "redis://b", name: tidemark }'
  const unsaid = 'source: { slot: s }\nrelay: { redis: "redis://c" }\nl2: { redis: "redis://d" }'
  expect(differencesOf(terms(said), terms(unsaid))).toEqual([])
})

test.each([
  ['source: { publication: other }', 'source.publication', 'tidemark', 'other'],
  ['source: { slot: s }', 'source.slot', null, 's'],
  ['source: { follow: off }', 'source.follow', 'auto', 'off'],
  ['l2: { redis: "redis://a" }', 'l2.name', null, 'tidemark'],
  ['cache: { maxSilence: 1m }', 'cache.maxSilence', 5_000, 60_000],
])('%s is another %s', (text, setting, here, there) => {
  expect(differencesOf(terms(), terms(text))).toEqual([{ setting, here, there }])
})

test('secrets are compared by a fingerprint, which says nothing of them', () => {
  const of = (secret: string) => terms(`relay: { secret: "${secret}" }`)
  const [one, other] = [of('0123456789abcdef'), of('0123456789abcdeg')]
  expect(differencesOf(one, of('0123456789abcdef'))).toEqual([])
  expect(differencesOf(one, other).map(({ setting }) => setting)).toEqual(['relay.secret'])
  expect(JSON.stringify([one, other])).not.toContain('0123')
})

test('what only one version knows is not compared', () => {
  const { 'cache.maxSilence': _, ...before } = terms()
  expect(differencesOf(terms(), before)).toEqual([])
  expect(differencesOf(before, terms())).toEqual([])
})

test('what does not concern the others is not compared: resources, ports, limits, roles', () => {
  const own =
    'server: { port: 1 }\ncache: { maxEntries: 7, waitMax: 1s }\nsource: { connections: 3, url: "postgres://a/b" }\nrelay: { role: follower }'
  expect(differencesOf(terms(), terms(own))).toEqual([])
})
