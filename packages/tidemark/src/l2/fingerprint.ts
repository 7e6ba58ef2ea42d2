import { createHash } from 'node:crypto'

/** The rule as a function, so that the simulation can plant the bug of leaving it out. */
export const versionRules = {
  /** Another text of the loader is another definition: a deploy leaves the entries of the one before alone. */
  fingerprint(load: object, version: string): string {
    return fingerprintOf(load, version)
  },
}

/** So many versions of one loader, and so many texts, have a fingerprint that is remembered. */
const VERSIONS_MAX = 100
const TEXTS_MAX = 1_000
const loaders = new WeakMap<object, Map<string, string>>()
const texts = new Map<string, string>()

function fingerprintOf(load: object, version: string): string {
  const known = loaders.get(load)?.get(version)
  if (known !== undefined) return known
  // NUL stands in no program: text and version cannot run into each other. Without a version it is as it always was.
  const text = version === '' ? String(load) : `${String(load)}\0${version}`
  const fingerprint = texts.get(text)
  // A loader that is made anew for each call is not worth remembering: its text is.
  if (fingerprint !== undefined) return fingerprint
  const made = createHash('sha256').update(text).digest('base64url').slice(0, 16)
  if (texts.size >= TEXTS_MAX) texts.clear()
  texts.set(text, made)
  const versions = loaders.get(load) ?? new Map<string, string>()
  if (versions.size < VERSIONS_MAX) loaders.set(load, versions.set(version, made))
  return made
}
