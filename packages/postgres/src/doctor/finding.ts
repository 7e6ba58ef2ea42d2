/** What a look at a server found. */
export interface Finding {
  /** error: it can't be followed. warning: it can, at the cost that is named. advice: it could be better. ok: as it should be. */
  readonly severity: 'ok' | 'advice' | 'warning' | 'error'
  /** An error's code (see docs/errors.md), or a stable name. */
  readonly code: string
  readonly title: string
  /** What it costs to leave it; empty where all is well. */
  readonly cost: string
  /** What to do: SQL if `isSql`, else words; empty where all is well. */
  readonly fix: string
  /** `fix` can be run as it is, by somebody with the rights. */
  readonly isSql: boolean
}

export function ok(code: string, title: string): Finding {
  return { severity: 'ok', code, title, cost: '', fix: '', isSql: false }
}

export function warning(code: string, title: string, cost: string, fix: string, isSql = true): Finding {
  return { severity: 'warning', code, title, cost, fix, isSql }
}

export function advice(code: string, title: string, cost: string, fix: string): Finding {
  return { severity: 'advice', code, title, cost, fix, isSql: true }
}

export function error(code: string, title: string, cost: string, fix: string, isSql = true): Finding {
  return { severity: 'error', code, title, cost, fix, isSql }
}

/** Names for a line of text: the first of them, and how many more. */
export function listed(names: readonly string[], max = 10): string {
  const rest = names.length - max
  return names.slice(0, max).join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}
