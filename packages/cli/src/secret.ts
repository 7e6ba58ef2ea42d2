import { readFileSync } from 'node:fs'
import { UsageError } from './errors.js'
import type { Terminal } from './terminal.js'

/**
 * What the variable `name` has, or else what is in the file that `name_FILE` names: a secret that is in no environment.
 *
 * @throws UsageError if the file cannot be read, or is empty: what is then taken is not what whoever named it means
 */
export function secretOf(env: Terminal['env'], name: string): string | undefined {
  const file = env[`${name}_FILE`]
  if (env[name] || !file) return env[name] || undefined
  try {
    const secret = readFileSync(file, 'utf8').trim()
    if (secret !== '') return secret
  } catch (cause) {
    throw new UsageError(`The file that ${name}_FILE names cannot be read: ${file}.`, { cause })
  }
  throw new UsageError(`The file that ${name}_FILE names is empty: ${file}.`)
}
