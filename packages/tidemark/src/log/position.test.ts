import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatLsn, formatPosition, parsePosition } from './position.js'

const lsn = fc.nat(Number.MAX_SAFE_INTEGER)
const epoch = fc.stringMatching(/^[A-Za-z0-9._-]{1,128}$/)

test('a position comes back from its text, with and without epoch and transaction id', () => {
  fc.assert(
    fc.property(epoch, lsn, fc.option(fc.nat(), { nil: undefined }), (epoch, lsn, xid) => {
      const suffix = xid === undefined ? '' : `@${xid}`
      expect(parsePosition(formatPosition({ epoch, lsn }) + suffix)).toEqual({ epoch, lsn, xid })
      expect(parsePosition(formatLsn(lsn) + suffix)).toEqual({ epoch: undefined, lsn, xid })
    }),
  )
})

test('an LSN is written as PostgreSQL writes it', () => {
  expect(formatLsn(0)).toBe('0/0')
  expect(formatLsn(0x16b374d848)).toBe('16/B374D848')
  expect(formatLsn(2 ** 53 - 1)).toBe('1FFFFF/FFFFFFFF')
  expect(parsePosition('16/b374d848').lsn).toBe(0x16b374d848)
})

test('what is no position is refused, however long or strange', () => {
  const wrong = [
    '',
    '/',
    '0/',
    '/0',
    '0/0/0',
    '0x1/0',
    '1FFFFF/FFFFFFFF0',
    '200000/0',
    'e:',
    ':0/0',
    'e:f:0/0',
    'e e:0/0',
    '0/0@',
    '0/0@-1',
    '0/0@1.5',
  ]
  wrong.push('0/0@9999999999999999', `${'e'.repeat(129)}:0/0`, '0/0\u0000', '٣/٣', 'a'.repeat(1e6))
  for (const text of wrong)
    expect(() => parsePosition(text), text.slice(0, 40)).toThrow(expect.objectContaining({ code: 'TIDEMARK_POSITION' }))
})
