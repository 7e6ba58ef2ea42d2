import type { Named } from '../../cache.js'

/** What names many keys, and the same as JavaScript's own expressions say it: what the oracle believes. */
export interface Wide {
  readonly asked: Pick<Named, 'pattern' | 'all'>
  readonly regex: RegExp
}

export const WIDE: readonly Wide[] = [
  { asked: { pattern: 'post(*' }, regex: /^post\(/ },
  { asked: { pattern: 'f*)' }, regex: /^f.*\)$/ },
  { asked: { pattern: '*(1)' }, regex: /\(1\)$/ },
  { asked: { pattern: '*o*' }, regex: /o/ },
  { asked: { pattern: ['pa[a-g]e(?)', 'raw'] }, regex: /^(pa[a-g]e\(.\)|raw)$/ },
  { asked: { pattern: { regex: '^(graced|feed)\\(' } }, regex: /^(graced|feed)\(/ },
  { asked: { pattern: { regex: '^home\\(\\d' } }, regex: /^home\(\d/ },
  { asked: { pattern: '*' }, regex: /^/ },
  { asked: { all: 'tenant' }, regex: /^/ },
  { asked: { all: 'everything' }, regex: /^/ },
]
