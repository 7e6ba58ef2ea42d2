import pg from 'pg'

/** ISO 8601, also as PostgreSQL writes it: a blank for the T, BC for years before the first. */
const MOMENT =
  /^([0-9]{4,6})-([0-9]{2})-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)? ?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?( BC)?$/

/** A time without a zone, and the zone. */
interface Moment {
  /** As if it were in UTC. */
  readonly ms: number
  /** Digits below the second. */
  readonly fraction: string
  /** Minutes before UTC; undefined if the text names none. */
  readonly offset: number | undefined
}

/** As the log writes a date. A time of day, and its zone, do not count. */
export function dateText(text: string): string | undefined {
  const moment = momentOf(text)
  return typeof moment === 'object' ? written(moment.ms).day + written(moment.ms).era : moment
}

/** As the log writes a timestamp. A zone does not count. */
export function timestampText(text: string): string | undefined {
  const moment = momentOf(text)
  if (typeof moment !== 'object') return moment
  const { day, time, era } = written(moment.ms)
  return `${day} ${time}${moment.fraction}${era}`
}

/** As the log writes a timestamptz: in UTC. Without a zone, that of the session would decide. */
export function timestamptzText(text: string): string | undefined {
  const moment = momentOf(text)
  if (typeof moment !== 'object') return moment
  if (moment.offset === undefined) return undefined
  const { day, time, era } = written(moment.ms - moment.offset * 60_000)
  return `${day} ${time}${moment.fraction}+00${era}`
}

export function timeText(text: string): string | undefined {
  const parts = /^([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:\.([0-9]{1,6}))?)?$/.exec(text)
  return parts ? `${parts[1]}:${parts[2]}:${parts[3] ?? '00'}${fractionOf(parts[4])}` : undefined
}

/** What the driver sends for a Date: local time with its offset, or UTC. */
export function parameterDateText(date: Date): string | undefined {
  if (Number.isNaN(date.getTime())) return undefined
  const isUtc = pg.defaults.parseInputDatesAsUTC === true
  const offset = isUtc ? 0 : -date.getTimezoneOffset()
  const local = isUtc ? date : asLocal(date)
  const { day, time, era } = written(Math.floor(local.getTime() / 1000) * 1000)
  const distance = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60].map((part) => twoDigits(part)).join(':')
  const ms = String(local.getUTCMilliseconds()).padStart(3, '0')
  return `${day}T${time}.${ms}${offset < 0 ? '-' : '+'}${distance}${era}`
}

/** The same digits, in UTC. */
function asLocal(date: Date): Date {
  const local = new Date(0)
  local.setUTCFullYear(date.getFullYear(), date.getMonth(), date.getDate())
  local.setUTCHours(date.getHours(), date.getMinutes(), date.getSeconds(), date.getMilliseconds())
  return local
}

function momentOf(text: string): Moment | string | undefined {
  if (text === 'infinity' || text === '-infinity') return text
  const parts = MOMENT.exec(text)
  if (!parts) return undefined
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const date = new Date(0)
  date.setUTCFullYear(parts[9] ? 1 - year : year, month - 1, day)
  // A day that the month does not have, a leap second, midnight written as 24:00.
  const isPlain =
    date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && second < 60
  if (!isPlain || year === 0) return undefined
  const ms = date.setUTCHours(hour, minute, second)
  return { ms, fraction: fractionOf(parts[7]), offset: offsetOf(parts[8]) }
}

function fractionOf(digits: string | undefined): string {
  const bare = digits?.replace(/0+$/, '')
  return bare ? `.${bare}` : ''
}

function offsetOf(zone: string | undefined): number | undefined {
  if (zone === undefined) return undefined
  if (zone === 'Z') return 0
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3).replace(':', ''))
  return zone.startsWith('-') ? -minutes : minutes
}

function written(ms: number): { readonly day: string; readonly time: string; readonly era: string } {
  const date = new Date(ms)
  const year = date.getUTCFullYear()
  const digits = String(year > 0 ? year : 1 - year).padStart(4, '0')
  return {
    day: `${digits}-${twoDigits(date.getUTCMonth() + 1)}-${twoDigits(date.getUTCDate())}`,
    time: [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(twoDigits).join(':'),
    era: year > 0 ? '' : ' BC',
  }
}

function twoDigits(part: number): string {
  return String(part).padStart(2, '0')
}
