import { readFileSync } from 'node:fs'

/** The environment, as programs see it. */
export type Environment = Readonly<Record<string, string | undefined>>

/** One `${NAME}` or `${NAME:-default}` of a file. */
interface Variable {
  readonly name: string
  readonly fallback: string | undefined
}

/** A text whose variables are masked: YAML sees plain letters of the same length, so every column stays where it was. */
export interface Masked {
  readonly text: string
  /** Offsets of a `${` that begins no variable. */
  readonly malformed: readonly number[]
  /**
   * Puts values in place of masks. `missing` are the variables that are not set and have no default; `refused` says
   * what is wrong with files; `set` are those that are set.
   */
  fill(text: string, environment: Environment): Filled
}

export interface Filled {
  readonly text: string
  readonly missing: readonly string[]
  readonly refused: readonly string[]
  readonly set: readonly string[]
}

// Of Unicode's private use, which YAML allows everywhere: a mask is OPEN, the variable's number, padding, CLOSE.
const OPEN = '\ue000'
const CLOSE = '\ue001'
const PAD = '\ue002'
const FIRST = 0xe100
const VARIABLES_MAX = 1_000

const VARIABLE = /\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}\n\r]*))?\})?/g
const MASK = /\ue000([\ue100-\ue4e7])\ue002*\ue001/g

/**
 * A variable's value: of `NAME`, else what is in the file that `NAME_FILE` names, without its last line break. A secret in a
 * file is in no list of processes, and in no environment that a crash prints.
 *
 * A file that holds nothing is refused: a secret that is not there yet must not count as one that nobody wants.
 *
 * @returns undefined if neither is set; what is wrong with the file, as a sentence without its end
 */
export function variableOf(
  environment: Environment,
  name: string,
): { readonly value: string } | { readonly refused: string } | undefined {
  const set = environment[name]
  const file = environment[`${name}_FILE`]
  if (set || !file) return set === undefined ? undefined : { value: set }
  try {
    const value = readFileSync(file, 'utf8').replace(/\r?\n$/, '')
    return value === '' ? { refused: `the file that ${name}_FILE names is empty; write the value into it` } : { value }
  } catch {
    return { refused: `the file that ${name}_FILE names cannot be read; correct its path or its rights` }
  }
}

/**
 * Hides `${NAME}` and `${NAME:-default}` from a parser. They are filled in after parsing, so that a value can hold any
 * character without becoming YAML, and so that braces do not end a flow mapping.
 */
export function maskVariables(source: string): Masked {
  const variables: Variable[] = []
  const malformed: number[] = []
  const text = source.replaceAll(
    VARIABLE,
    (whole: string, name: string | undefined, fallback: string | undefined, at: number) => {
      if (name === undefined || variables.length === VARIABLES_MAX) {
        malformed.push(at)
        return whole
      }
      variables.push({ name, fallback })
      return `${OPEN}${String.fromCharCode(FIRST + variables.length - 1)}`.padEnd(whole.length - 1, PAD) + CLOSE
    },
  )
  return { text, malformed, fill: (masked, environment) => fillVariables(masked, variables, environment) }
}

function fillVariables(masked: string, variables: readonly Variable[], environment: Environment): Filled {
  const missing: string[] = []
  const refused: string[] = []
  const used: string[] = []
  const text = masked.replaceAll(MASK, (whole, number: string) => {
    const variable = variables[number.charCodeAt(0) - FIRST]
    if (!variable) return whole
    const found = variableOf(environment, variable.name)
    if (found && 'refused' in found) {
      refused.push(found.refused)
      return ''
    }
    const set = found?.value
    const value = variable.fallback === undefined ? set : set || variable.fallback
    if (set) used.push(variable.name)
    if (value === undefined) missing.push(variable.name)
    return value ?? ''
  })
  return { text, missing, refused, set: used }
}
