import { z } from 'zod'
import { WITHOUT_NUL } from '../without-nul.js'

/** What a loader gets for a parameter: equal arguments are equal values, so that they share an entry. */
export type Argument = string | number | bigint | boolean | null

/** A type that parameters may be declared with. */
interface ParameterType {
  /** Reads the text of a query string. Its issues are what the client is told. */
  readonly schema: z.ZodType<Argument, string>
  /** Types that the database may see for such a parameter, by OID. `others`: also types that are not listed in any of these. */
  readonly oids: readonly number[]
  readonly others?: true
}

export type ParameterTypeName = keyof typeof PARAMETER_TYPES

/** Names by which a declaration may call a type. */
const ALIASES: Readonly<Record<string, ParameterTypeName>> = {
  int2: 'smallint',
  int4: 'integer',
  int: 'integer',
  int8: 'bigint',
  decimal: 'numeric',
  float4: 'real',
  float8: 'double precision',
  varchar: 'text',
  'character varying': 'text',
  bool: 'boolean',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamptz',
}

const INTEGERS = [21, 23, 20, 26, 1700, 700, 701]
const FLOATS = [700, 701, 1700]

/** The widths of PostgreSQL's integers, by OID. */
const INTEGER_BITS: Readonly<Record<number, bigint>> = { 21: 16n, 23: 32n, 20: 64n }

export const PARAMETER_TYPES = {
  smallint: { schema: integer(16n), oids: INTEGERS },
  integer: { schema: integer(32n), oids: INTEGERS },
  bigint: { schema: integer(64n), oids: INTEGERS },
  numeric: {
    schema: pattern(/^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,4})?$/i, 'must be a decimal number, e.g. 12.50').max(
      1_000,
      'must have at most 1,000 characters',
    ),
    oids: FLOATS,
  },
  real: { schema: float(), oids: FLOATS },
  'double precision': { schema: float(), oids: FLOATS },
  text: { schema: text(), oids: [25, 1043, 1042, 19, 18, 705], others: true },
  boolean: {
    schema: z
      .enum(['true', 'false'], {
        error: (issue) => (typeof issue.input === 'string' ? 'must be true or false' : notText(issue)),
      })
      .transform((value) => value === 'true'),
    oids: [16],
  },
  uuid: {
    schema: pattern(
      /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
      'must be a UUID, e.g. 0190a1b2-0000-7000-8000-000000000000',
    ).transform((value) => value.toLowerCase()),
    oids: [2950],
  },
  date: { schema: calendar(/^(\d{4})-(\d\d)-(\d\d)$/, 'must be a date, e.g. 2026-01-31'), oids: [1082, 1114, 1184] },
  timestamp: {
    schema: calendar(
      /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,6})?)?$/,
      'must be a time without a zone, e.g. 2026-01-31T12:30:00.123456',
    ),
    oids: [1114],
  },
  timestamptz: {
    schema: calendar(
      /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,6})?)?(?:Z|[+-](?:0\d|1[0-5])(?::?[0-5]\d)?)$/,
      'must be a time with its zone, e.g. 2026-01-31T12:30:00Z or …+02:00 (in a URL, + is written %2B)',
    ),
    oids: [1184],
  },
} as const satisfies Record<string, ParameterType>

/** The type of a declaration, by its name or an alias of PostgreSQL's; undefined if there is none. */
export function parameterTypeName(declared: string): ParameterTypeName | undefined {
  const name = declared.trim().toLowerCase().replaceAll(/\s+/g, ' ')
  if (Object.hasOwn(PARAMETER_TYPES, name)) return name as ParameterTypeName
  return Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined
}

/** Whether the database's type for a parameter is one that the declared type can be sent as. */
export function isDeclarable(name: ParameterTypeName, oid: number): boolean {
  const { oids, others }: ParameterType = PARAMETER_TYPES[name]
  return (
    oids.includes(oid) ||
    (others === true && !Object.values<ParameterType>(PARAMETER_TYPES).some((type) => type.oids.includes(oid)))
  )
}

/** Why a value does not fit what the database sees, where that is narrower than what was declared; undefined if it does. */
export function misfit(value: Argument, oid: number | undefined): string | undefined {
  const bits = oid === undefined ? undefined : INTEGER_BITS[oid]
  if (bits === undefined || (typeof value !== 'number' && typeof value !== 'bigint')) return undefined
  return isWithin(BigInt(value), bits) ? undefined : outside(bits)
}

/** A safe integer is a number, so that keys read `post(42)`; beyond that, a bigint. */
function integer(bits: bigint) {
  return z
    .string({ error: notText })
    .regex(/^[+-]?\d{1,40}$/, 'must be a whole number')
    .refine((value) => !/^[+-]?\d{1,40}$/.test(value) || isWithin(toBigInt(value), bits), outside(bits))
    .transform((value) => {
      const whole = toBigInt(value)
      return Number.isSafeInteger(Number(whole)) ? Number(whole) : whole
    })
    .meta({ format: bits === 64n ? 'int64' : 'int32' })
}

function toBigInt(value: string): bigint {
  return BigInt(value.replace(/^\+/, ''))
}

function isWithin(value: bigint, bits: bigint): boolean {
  return value >= -(1n << (bits - 1n)) && value < 1n << (bits - 1n)
}

function outside(bits: bigint): string {
  return `must be between ${-(1n << (bits - 1n))} and ${(1n << (bits - 1n)) - 1n}`
}

function float() {
  return pattern(/^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,4})?$/i, 'must be a number, e.g. 0.5')
    .refine((value) => Number.isFinite(Number(value)), 'is too large')
    .transform((value) => Number(value) + 0)
}

/** PostgreSQL stores neither NUL nor half a surrogate pair; Node would replace the latter silently. */
function text() {
  return z
    .string({ error: notText })
    .refine(...WITHOUT_NUL)
    .refine((value) => value.isWellFormed(), 'must be well-formed Unicode')
}

function pattern(form: RegExp, message: string) {
  return z.string({ error: notText }).regex(form, message)
}

/** A date or time that the calendar has; the groups of `form` are year, month, day, hour, minute, second. */
function calendar(form: RegExp, message: string) {
  return pattern(form, message).refine((value) => {
    const [year, month, day, hour = 0, minute = 0, second = 0] =
      form
        .exec(value)
        ?.slice(1)
        .map((part) => Number(part ?? 0)) ?? []
    if (year === undefined || month === undefined || day === undefined) return true // the pattern has told it
    const there = new Date(Date.UTC(2000, month - 1, day))
    there.setUTCFullYear(year, month - 1, day)
    const exists = there.getUTCMonth() === month - 1 && there.getUTCDate() === day
    return year > 0 && exists && hour < 24 && minute < 60 && second < 60
  }, 'must be a date and time that exist')
}

function notText(issue: { readonly input?: unknown }): string {
  return Array.isArray(issue.input) ? 'must be given once' : 'is missing'
}
