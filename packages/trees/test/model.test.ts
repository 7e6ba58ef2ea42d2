import { expect, it } from 'vitest'
import { Model, type Tree } from './model.js'

/** By hand, apart from what the model says: it might call a circle what is none, or overlook one. */
it('the model: a base that refers to a value which the config has itself is no circle; one that refers to what inherits it is', () => {
  const model = new Model()
  const object = (...members: [string, Tree][]): Tree => new Map(members)
  model.config('app').tree = object(['e', object(['b', '"own"'])], ['f', ['1']])
  model.config('app').base = 'base'
  const extending = (target: string) => {
    model.config('base').tree = object(['$ref', JSON.stringify(target)])
    return (name: string, path: string) => model.see(name, path).text
  }
  let text = extending('app#/e/b')
  expect(text('app', '')).toBe('{"e":{"b":"own"},"f":[1]}')
  expect(text('app', '/e/c')).toBe(undefined)
  expect(text('base', '')).toBe('"own"')
  text = extending('app#/f')
  expect(text('app', '')).toBe('{"e":{"b":"own"},"f":[1]}')
  expect(text('base', '/0')).toBe('1')
  for (const target of ['app#', 'app#/e', 'base#']) {
    text = extending(target)
    expect(() => text('app', ''), target).toThrow('cycle')
  }
})
