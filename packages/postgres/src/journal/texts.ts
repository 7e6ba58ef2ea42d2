/** So many characters of names one record holds. */
const CHARACTERS_MAX = 65_536

/**
 * Text as PostgreSQL can hold it: it has neither NUL nor halves of a surrogate pair. What has one is written as a JSON string, with
 * quotes and escapes.
 */
export function storable(text: string): string {
  return text.includes('\0') || !text.isWellFormed() ? JSON.stringify(text) : text
}

export function textOf(text: string | undefined): string | null {
  return text === undefined ? null : storable(text)
}

/** The first of the names, as many as a record holds. */
export function firstOf(names: readonly string[], namesMax: number): string[] {
  const first: string[] = []
  let characters = 0
  for (const name of names) {
    characters += name.length
    if (first.length >= namesMax || characters > CHARACTERS_MAX) break
    first.push(name)
  }
  return first
}

/** JSON that PostgreSQL's `json` holds: it refuses \u0000 and halves of surrogate pairs only in `jsonb`, but text functions fail on them. */
export function detailOf(detail: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(detail, (_, value: unknown) => (typeof value === 'string' ? storable(value) : value))
}
