import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByKey } from './by-key.js'
import { type InLine, Line } from './line.js'

interface Member extends InLine<Member> {
  readonly n: number
}

test('a line has who came and did not leave, in the order in which they came', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(7))), (steps) => {
      const members = Array.from({ length: 8 }, (_, n): Member => ({ n, before: undefined, after: undefined }))
      const line = new Line<Member>()
      const model = new Set<Member>()
      for (const [comes, n] of steps) {
        const member = members[n]!
        if (comes && !model.has(member)) {
          line.add(member)
          model.add(member)
        } else if (!comes) {
          line.delete(member)
          model.delete(member)
        }
        expect([...line]).toEqual([...model])
        expect([line.size, line.first, line.has(member)]).toEqual([model.size, [...model][0], model.has(member)])
      }
      for (const member of line) line.delete(member)
      expect([...line, line.size]).toEqual([0])
      expect(members.every(({ before, after }) => before === undefined && after === undefined)).toBe(true)
    }),
  )
})

test('values are found by their keys, like in a Map', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(7), fc.integer())), (steps) => {
      const values = new ByKey<number, number>()
      const model = new Map<number, number>()
      for (const [isSet, key, value] of steps) {
        if (isSet) {
          values.set(key, value)
          model.set(key, value)
        } else {
          values.delete(key)
          model.delete(key)
        }
        expect([values.size, values.get(key)]).toEqual([model.size, model.get(key)])
      }
    }),
  )
})
