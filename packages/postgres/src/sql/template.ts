const FRAGMENT = Symbol.for('tidemark.sql.fragment')

/** A piece of SQL with its values, to be put into a template: its values stay parameters. */
export interface Fragment {
  readonly [FRAGMENT]: true
  readonly strings: readonly string[]
  readonly values: readonly unknown[]
}

export interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
}

export function fragment(strings: readonly string[], values: readonly unknown[]): Fragment {
  return { [FRAGMENT]: true, strings, values }
}

/** A quoted name, e.g. of a column that the caller chooses: `schema`, `table`. */
export function identifier(parts: readonly string[]): Fragment {
  return fragment([parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.')], [])
}

/** The text with `$1`, `$2` … where values stood. A value is never put into the text, whatever it is. */
export function statementOf(template: Pick<Fragment, 'strings' | 'values'>): Statement {
  if (!template.values.some(isFragment)) return { text: textOf(template.strings), values: template.values }
  const values: unknown[] = []
  const write = ({ strings, values: own }: Pick<Fragment, 'strings' | 'values'>): string =>
    strings.map((string, index) => (index === 0 ? string : writeValue(own[index - 1]) + string)).join('')
  const writeValue = (value: unknown): string => {
    if (isFragment(value)) return write(value)
    values.push(value)
    return `$${values.length}`
  }
  return { text: write(template), values }
}

const texts = new WeakMap<readonly string[], string>()

/** A template that has no pieces is of the same text each time: so it need not be put together, and hashed, again. */
function textOf(strings: readonly string[]): string {
  const known = texts.get(strings)
  if (known !== undefined) return known
  const text = strings.map((string, index) => (index === 0 ? string : `$${index}${string}`)).join('')
  // What is no template, but a list that somebody may change, is read each time.
  if (Object.isFrozen(strings)) texts.set(strings, text)
  return text
}

function isFragment(value: unknown): value is Fragment {
  return typeof value === 'object' && value !== null && FRAGMENT in value
}
