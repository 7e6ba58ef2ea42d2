import { expect, it } from 'vitest'
import { representationOf } from '../resources/representation.js'
import { nodesMessage } from './nodes-message.js'

function matching(nodes: Record<string, string>) {
  return { ...representationOf(JSON.stringify(nodes)), nodes: new Map(Object.entries(nodes)) }
}

it('what has changed is told, and made once for all who are told it', () => {
  const [before, now] = [matching({ '/a': '1', '/b': '2' }), matching({ '/a': '1', '/b': '[3]', '/c': '4' })]
  const whole = nodesMessage(now, undefined, 'value')
  expect(whole).toMatchObject({ whole: true, changed: { '/a': 1, '/b': [3], '/c': 4 }, removed: [] })
  expect(nodesMessage(now, undefined, 'value')).toBe(whole)
  const change = nodesMessage(now, before, 'value')
  expect(change).toMatchObject({ whole: false, changed: { '/b': [3], '/c': 4 }, removed: [] })
  expect(nodesMessage(now, before, 'value')).toBe(change)
  expect(nodesMessage(before, now, 'value')).toMatchObject({ changed: { '/b': 2 }, removed: ['/c'] })
  const text = nodesMessage(now, before, 'text')
  expect(text).toMatchObject({ changed: { '/b': '[3]', '/c': '4' } })
  expect(nodesMessage(now, before, 'text')).toBe(text)
})
