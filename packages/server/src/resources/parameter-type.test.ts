import { describe, expect, it } from 'vitest'
import { isDeclarable, misfit, PARAMETER_TYPES, type ParameterTypeName, parameterTypeName } from './parameter-type.js'

const read = (name: ParameterTypeName, text: unknown) => {
  const result = PARAMETER_TYPES[name].schema.safeParse(text)
  return result.success ? result.data : result.error.issues[0]?.message
}

describe('parameters', () => {
  it.each<[ParameterTypeName, string, unknown]>([
    ['smallint', '-32768', -32768],
    ['integer', '007', 7],
    ['integer', '-0', 0],
    ['bigint', '+42', 42],
    ['bigint', '9007199254740993', 9007199254740993n],
    ['bigint', '-9223372036854775808', -9223372036854775808n],
    ['numeric', '12345678901234567890.123456789', '12345678901234567890.123456789'],
    ['real', '1e3', 1000],
    ['double precision', '-0', 0],
    ['text', '', ''],
    ['text', "it's 😀 \\ %", "it's 😀 \\ %"],
    ['boolean', 'true', true],
    ['boolean', 'false', false],
    ['uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['date', '2024-02-29', '2024-02-29'],
    ['date', '0001-01-01', '0001-01-01'],
    ['timestamp', '2026-01-31 23:59:59.123456', '2026-01-31 23:59:59.123456'],
    ['timestamptz', '2026-01-31T23:59Z', '2026-01-31T23:59Z'],
    ['timestamptz', '2026-01-31T23:59:00+05:30', '2026-01-31T23:59:00+05:30'],
  ])('of type %s take %s', (name, text, value) => {
    expect(read(name, text)).toBe(value)
  })

  it.each<[ParameterTypeName, string]>([
    ['smallint', '32768'],
    ['integer', '2147483648'],
    ['integer', '1.0'],
    ['integer', '1e3'],
    ['integer', ''],
    ['integer', ' 1'],
    ['integer', '0x10'],
    ['bigint', '9223372036854775808'],
    ['bigint', '9'.repeat(41)],
    ['numeric', 'NaN'],
    ['numeric', `1${'0'.repeat(1_000)}`],
    ['real', '1e999'],
    ['text', 'a\0b'],
    ['text', '\ud800'],
    ['boolean', 'yes'],
    ['uuid', 'a0eebc99'],
    ['date', '2023-02-29'],
    ['date', '0000-01-01'],
    ['date', 'today'],
    ['timestamp', '2026-01-31T24:00:00'],
    ['timestamp', '2026-01-31T12:00:00Z'],
    ['timestamptz', '2026-01-31T12:00:00'],
    ['timestamptz', '2026-13-31T12:00:00Z'],
  ])('of type %s refuse %j with a sentence', (name, text) => {
    expect(PARAMETER_TYPES[name].schema.safeParse(text).success).toBe(false)
    expect(read(name, text)).toMatch(/^(must|is too)/)
  })

  it('that are given twice or not at all say so', () => {
    for (const name of Object.keys(PARAMETER_TYPES) as ParameterTypeName[]) {
      expect(read(name, undefined), name).toBe('is missing')
      expect(read(name, ['1', '2']), name).toBe('must be given once')
    }
  })

  it('may be declared by the names that PostgreSQL knows them by', () => {
    expect(parameterTypeName('INT8')).toBe('bigint')
    expect(parameterTypeName('timestamp  with time zone')).toBe('timestamptz')
    expect(parameterTypeName('constructor')).toBeUndefined()
    expect(parameterTypeName('money')).toBeUndefined()
  })

  it('may be declared wider or narrower than the column, never as something else', () => {
    expect(isDeclarable('bigint', 23)).toBe(true)
    expect(isDeclarable('text', 23)).toBe(false)
    expect(isDeclarable('text', 16_400)).toBe(true) // an enum
    expect(isDeclarable('uuid', 25)).toBe(false)
    expect(isDeclarable('bigint', 16_400)).toBe(false)
  })

  it('must fit the type that the database sees', () => {
    expect(misfit(2_147_483_648, 23)).toBe('must be between -2147483648 and 2147483647')
    expect(misfit(2_147_483_647, 23)).toBeUndefined()
    expect(misfit(9007199254740993n, 20)).toBeUndefined()
    expect(misfit('x', 23)).toBeUndefined()
  })
})
