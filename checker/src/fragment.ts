/** A parameter of a statement. */
export interface Parameter {
  readonly value: unknown
  /** Written behind it as a cast; empty for none. */
  readonly cast: string
}

type Part = string | Parameter | Fragment

/**
 * A piece of SQL, and what may stand in its place: how a statement that shows a bug is made smaller. What results need not be valid
 * SQL; then it shows no bug, and another piece is tried.
 */
export interface Fragment {
  readonly parts: readonly Part[]
  readonly simpler: readonly Fragment[]
  /** It orders the whole answer. */
  readonly isOrder?: true
}

export interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
}

export const EMPTY: Fragment = { parts: [], simpler: [] }

/** `` sql`${column} = ${value}` ``: strings are text as they are. */
export function sql(strings: TemplateStringsArray, ...parts: readonly Part[]): Fragment {
  return { parts: strings.flatMap((text, index) => [text, parts[index] ?? '']), simpler: [] }
}

export function raw(text: string): Fragment {
  return { parts: [text], simpler: [] }
}

/** The same, with what may stand in its place. */
export function orElse(fragment: Fragment, ...simpler: readonly Fragment[]): Fragment {
  return { ...fragment, simpler: [...simpler, ...fragment.simpler] }
}

/** May be left out. */
export function optional(fragment: Fragment): Fragment {
  return orElse(fragment, EMPTY)
}

/** Several, each of which may be left out while one stays. */
export function list(items: readonly Fragment[], separator: string): Fragment {
  const parts = items.flatMap((item, index) => (index === 0 ? [item] : [separator, item]))
  if (items.length < 2) return { parts, simpler: [] }
  const without = items.map((_, index) => items.filter((_, other) => other !== index))
  // Lazy, as each shorter list has shorter lists of its own.
  return {
    parts,
    get simpler() {
      return without.map((left) => list(left, separator))
    },
  }
}

/** The statement's text with `$1`, `$2` …, and their values. */
export function render(fragment: Fragment): Statement {
  const values: unknown[] = []
  const write = (part: Part): string => {
    if (typeof part === 'string') return part
    if ('parts' in part) return part.parts.map(write).join('')
    values.push(part.value)
    return `$${values.length}${part.cast && `::${part.cast}`}`
  }
  const text = write(fragment).replace(/\s+/g, ' ').trim()
  return { text, values }
}

export function hasOrder(fragment: Fragment): boolean {
  return fragment.isOrder === true || fragment.parts.some((part) => isFragment(part) && hasOrder(part))
}

/** The same with one piece made simpler, in each possible way; the largest pieces first. */
export function* simplified(fragment: Fragment): Generator<Fragment> {
  yield* fragment.simpler
  for (const [index, part] of fragment.parts.entries()) {
    if (!isFragment(part)) continue
    for (const each of simplified(part)) {
      yield { ...fragment, parts: fragment.parts.with(index, each), simpler: [] }
    }
  }
}

function isFragment(part: Part): part is Fragment {
  return typeof part === 'object' && 'parts' in part
}
