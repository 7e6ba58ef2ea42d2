import { expect, test } from 'vitest'
import { placeOf } from './place.js'

test('a place is counted in characters, by line and column', () => {
  expect(placeOf('select 1', 8)).toEqual({ line: 1, column: 8, excerpt: 'select 1\n       ^' })
  expect(placeOf("select '😀',\n\tx\nfrom t", 14)).toEqual({ line: 2, column: 2, excerpt: ' x\n ^' })
})

test('a place behind the end is the end, and long lines are cut around it', () => {
  expect(placeOf('select', 99)).toMatchObject({ line: 1, column: 7 })
  const { column, excerpt } = placeOf(`${'a'.repeat(200)}b${'c'.repeat(200)}`, 201)
  expect(column).toBe(201)
  const [line, caret] = excerpt.split('\n')
  expect([...line!][caret!.indexOf('^')]).toBe('b')
  expect([...line!].length).toBeLessThanOrEqual(122)
})
