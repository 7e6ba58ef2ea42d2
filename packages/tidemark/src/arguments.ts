import { parseSlotText, slotKey, slotText } from './keys.js'
import type { SlotKey } from './tiers/space.js'

const ARGUMENT = /(?:"(?:[^"\\]|\\.)*"|[^,"[\]{}@]+)(?=,|$)/y

/**
 * The arguments that a definition's key was made of; undefined where the key does not say: of arrays, objects, dates. What it says is sure: made
 * again they give the same key.
 */
export function argumentsOf(key: SlotKey): readonly unknown[] | undefined {
  if (typeof key !== 'string' || key.charCodeAt(0) !== 0) return [key]
  const text = slotText(key)
  const found: unknown[] = []
  ARGUMENT.lastIndex = 0
  for (let at = 0; at < text.length; at = ARGUMENT.lastIndex + 1) {
    ARGUMENT.lastIndex = at
    const part = ARGUMENT.exec(text)?.[0]
    if (part === undefined) return undefined
    const value = part === 'undefined' ? undefined : parseSlotText(part)
    // A text that is no primitive comes back as the text of several arguments.
    if (typeof value === 'string' && value.charCodeAt(0) === 0) return undefined
    found.push(value)
  }
  return slotKey(found) === key ? found : undefined
}
