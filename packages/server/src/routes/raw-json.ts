/** JSON's text, to be written as it is: JavaScript's numbers would lose digits of it. */
export class RawJson {
  constructor(readonly text: string) {}
}

export function raw(text: string | undefined): RawJson | undefined {
  return text === undefined ? undefined : new RawJson(text)
}

/** `JSON.stringify`, for plain data with `RawJson` in it. */
export function textWithRaw(value: unknown): string {
  if (value instanceof RawJson) return value.text
  if (Array.isArray(value)) return `[${value.map(textWithRaw).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${textWithRaw(member)}`).join(',')}}`
}
