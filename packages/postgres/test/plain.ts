import { expect } from 'vitest'

/** An error says in its first sentence what was wrong, in the rest what to do, and holds nothing of what it must not. */
export function expectPlain({ message }: { readonly message: string }, says: RegExp, mends: RegExp): void {
  const at = message.search(/\. [A-Z]/)
  expect(at, message).toBeGreaterThan(0)
  expect(message.slice(0, at)).toMatch(says)
  expect(message.slice(at)).toMatch(mends)
  expect(message).toMatch(/[^.]\.?$/)
  expect(message).not.toMatch(/verysecret|words of the server/)
}
