/** For a schema's `refine`: PostgreSQL has no text with NUL. */
export const WITHOUT_NUL = [
  (text: string): boolean => !text.includes('\0'),
  'must not contain the character NUL',
] as const
