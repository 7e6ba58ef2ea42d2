import { type Duration, milliseconds } from 'tidemark'
import { z } from 'zod'

const DURATION = /^(?:0|\d+(?:\.\d+)?(?:ms|s|m|h|d))$/

/** An empty text is none: `${DATABASE_URL:-}`. */
export function url() {
  return z
    .string('must be a connection string, e.g. postgres://user@host:5432/database')
    .transform((text) => text || undefined)
    .refine(
      (text) => text === undefined || /^postgres(?:ql)?:\/\/./.test(text),
      'must be a connection string, e.g. postgres://user@host:5432/database',
    )
}

/** Absent or empty: none. */
export function redisAddress() {
  return optionalText(/^rediss?:\/\/./, 'must be an address of Redis or Valkey, e.g. redis://host:6379')
}

/** What our keys in it are told apart by. */
export function redisName() {
  const message = 'must be a name of up to 100 letters, digits, and any of _ . : -'
  return z
    .string()
    .regex(/^[\w.:-]{1,100}$/, message)
    .optional()
}

export function optionalText(form: RegExp, message: string) {
  return z
    .string(message)
    .refine((text) => text === '' || form.test(text), message)
    .transform((text) => text || undefined)
    .optional()
}

export function whole(least: number, most = Number.MAX_SAFE_INTEGER) {
  const message =
    most === Number.MAX_SAFE_INTEGER
      ? `must be a whole number, at least ${least}`
      : `must be a whole number from ${least} to ${most}`
  return z.int(message).min(least, message).max(most, message)
}

export function duration(leastMs = 0, mostMs = Number.POSITIVE_INFINITY) {
  const most = mostMs === Number.POSITIVE_INFINITY ? '' : `, at most ${mostMs}ms`
  const message = `must be a duration like 250ms, 30s, 5m, 1h or 7d${leastMs ? `, at least ${leastMs}ms` : ''}${most}`
  return z
    .union([z.string().regex(DURATION, message), z.literal(0)], message)
    .transform((value) => (value === '0' ? 0 : value) as Duration)
    .refine((value) => {
      const ms = milliseconds(value, 'duration')
      return ms >= leastMs && ms <= mostMs
    }, message)
}
