import fc from 'fast-check'
import { expect, it } from 'vitest'
import { fragment, identifier, statementOf } from './template.js'

it('numbers values in the order in which they stand, through fragments', () => {
  const inner = fragment(['b = ', ' and c = ', ''], [2, 3])
  const outer = fragment(['a = ', ' and ', ' and d = ', ''], [1, inner, 4])
  expect(statementOf(outer)).toEqual({ text: 'a = $1 and b = $2 and c = $3 and d = $4', values: [1, 2, 3, 4] })
})

it('remembers the text of what can not change, and of nothing else', () => {
  const asked = (strings: readonly string[], ...values: readonly unknown[]): string =>
    statementOf({ strings, values }).text
  const template = (id: number): string => asked`select ${id} from t`
  expect(template(1)).toBe('select $1 from t')
  expect(template(2)).toBe('select $1 from t')
  const list = ['select ', ' from t']
  expect(asked(list, 1)).toBe('select $1 from t')
  list[1] = ' from u'
  expect(asked(list, 1)).toBe('select $1 from u')
})

it('quotes names', () => {
  expect(statementOf(identifier(['public', 'a"b'])).text).toBe('"public"."a""b"')
})

it('takes an object that looks like a fragment for a value', () => {
  const lookalike = { strings: ['; drop table t'], values: [] }
  expect(statementOf(fragment(['select ', ''], [lookalike]))).toEqual({ text: 'select $1', values: [lookalike] })
})

// It might be wrong by putting some value into the text.
it('never has a value in its text', () => {
  fc.assert(
    fc.property(fc.array(fc.anything(), { maxLength: 5 }), (values) => {
      const strings = ['<', ...values.map(() => '>')]
      const { text, values: bound } = statementOf(fragment(strings, values))
      expect(text).toBe(`<${values.map((_, index) => `$${index + 1}>`).join('')}`)
      expect(bound).toEqual(values)
    }),
  )
})
