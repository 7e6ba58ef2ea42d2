/**
 * An array as PostgreSQL writes it, or undefined if that can't be told.
 *
 * @param textOf  an element's text; null for NULL
 */
export function arrayText(
  elements: readonly unknown[],
  textOf: (element: unknown) => string | null | undefined,
): string | undefined {
  if (elements.length === 0) return '{}'
  const parts: string[] = []
  for (const element of elements) {
    // Empty arrays inside of others have no dimensions.
    if (Array.isArray(element) && element.length === 0) return undefined
    const text = Array.isArray(element) ? arrayText(element, textOf) : textOf(element)
    if (text === undefined) return undefined
    parts.push(text === null ? 'NULL' : Array.isArray(element) ? text : quotedElement(text))
  }
  return `{${parts.join(',')}}`
}

function quotedElement(text: string): string {
  return text === '' || /^null$/i.test(text) || /["\\{}, \t\n\r\v\f]/.test(text)
    ? `"${text.replaceAll(/["\\]/g, '\\$&')}"`
    : text
}
