import { isAbsolute, resolve } from 'node:path'
import { type Duration, OptionError } from 'tidemark'

export interface LmdbL2Options {
  /** The folder, made if there is none, with rights for its account only. Nothing else may be in it. */
  readonly path: string
  /** The file stays below it, in bytes, at least 8 MiB. Default: 256 MiB. Where processes differ, the least counts. */
  readonly maxBytes?: number
  /** So many values that changes touched are remembered one by one, at least 100. Default: 100,000, up to 20 MB. */
  readonly stampsMax?: number
  /** So many kinds of dependencies (shapes) are told apart; beyond, entries are stamped by whole tables. Default: 10,000, or less in a file below 40 MiB. */
  readonly shapesMax?: number
  /** No write waits longer. Reads never wait. Default: `1s`. */
  readonly deadline?: Duration
}

export interface Settings {
  readonly path: string
  readonly maxBytes: number
  readonly stampsMax: number
  readonly shapesMax: number
  readonly deadlineMs: number
}

const NAMES: readonly string[] = [
  'path',
  'maxBytes',
  'stampsMax',
  'shapesMax',
  'deadline',
] satisfies (keyof LmdbL2Options)[]
const SHAPES_MAX = 10_000
/** Room for each, so that they never fill more than a quarter of the file, wide ones included. */
const SHAPE_BYTES = 4_096
const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** @throws OptionError (`TIDEMARK_OPTION`) naming the option and what it may be */
export function settingsOf(options: LmdbL2Options): Settings {
  if (typeof options !== 'object' || options === null) {
    throw new OptionError(`The options of lmdbL2() are an object: ${NAMES.join(', ')}.`)
  }
  for (const name of Object.keys(options)) {
    if (!NAMES.includes(name)) {
      throw new OptionError(`There is no option '${name}' of lmdbL2(). There are ${NAMES.join(', ')}.`)
    }
  }
  const { path, stampsMax, shapesMax, deadline = '1s' } = options
  if (typeof path !== 'string' || path === '' || path.includes('\u0000')) {
    throw new OptionError('path must be a folder: the same one in all processes that share the L2.')
  }
  const maxBytes = wholeOf(options.maxBytes, 'maxBytes', 8 * 2 ** 20, 256 * 2 ** 20)
  return {
    path: isAbsolute(path) ? path : resolve(path),
    maxBytes,
    stampsMax: wholeOf(stampsMax, 'stampsMax', 100, 100_000),
    shapesMax: Math.min(wholeOf(shapesMax, 'shapesMax', 1, SHAPES_MAX), Math.floor(maxBytes / SHAPE_BYTES)),
    deadlineMs: millisecondsOf(deadline),
  }
}

function wholeOf(value: number | undefined, name: string, least: number, missing: number): number {
  if (value === undefined) return missing
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new OptionError(`${name} must be a whole number >= ${least}.`)
}

function millisecondsOf(duration: Duration): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(String(duration)) ?? []
  const ms = typeof duration === 'number' ? duration : Number(count) * UNITS[unit as keyof typeof UNITS]
  if (ms > 0 && ms < 2 ** 31) return ms
  throw new OptionError("deadline must be a duration: milliseconds > 0, or a number with ms, s, m, h or d, like '1s'.")
}
