import { OptionError } from 'tidemark'
import type { RelayConfig } from './config.js'
import { type Environment, variableOf } from './variables.js'

/* What the file leaves to the environment, and what goes before it: for a start, and for who asks what a start would have. */

/**
 * The database where the file names none.
 *
 * @returns undefined: a private one
 * @throws OptionError if DATABASE_URL_FILE names no file that has one
 */
export function databaseUrlOf(environment: Environment): string | undefined {
  const found = variableOf(environment, 'DATABASE_URL')
  if (found && 'refused' in found) throw new OptionError(`The database has no address: ${found.refused}.`)
  return found?.value || undefined
}

/** Reads TIDEMARK_PORT. @throws OptionError */
export function portOf({ TIDEMARK_PORT: text }: Environment): number | undefined {
  if (text === undefined || text === '') return undefined
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535)
    throw new OptionError('TIDEMARK_PORT must be a port from 1 to 65535, or 0 for any free one.')
  return port
}

/** The part that a process has. @throws OptionError for one that there is only with a relay, without one */
export function roleOf(
  { redis, role: configured }: Pick<RelayConfig, 'redis' | 'role'>,
  role = configured,
): RelayConfig['role'] {
  if (redis === undefined && role !== 'auto')
    throw new OptionError(`The role ${role} needs a relay: set relay.redis and source.slot in the configuration.`)
  return role
}
