import type { Node, RangeVar, SelectStmt } from './ast.js'
import { as, walk } from './ast.js'

/**
 * The names in FROM that mean a common table expression, whatever tables or views are called the same.
 *
 * As PostgreSQL finds them: of a plain WITH each query sees those before it, of a recursive one all; what stands in the statement sees all.
 */
export function cteReferences(statements: readonly Node[]): ReadonlySet<RangeVar> {
  const found = new Set<RangeVar>()
  look(statements, new Set(), found)
  return found
}

function look(root: unknown, visible: ReadonlySet<string>, found: Set<RangeVar>): void {
  walk(root, (tag, content) => {
    if (tag === 'RangeVar') {
      const { schemaname, relname } = content as RangeVar
      if (schemaname === undefined && visible.has(relname ?? '')) found.add(content as RangeVar)
    }
    if (tag !== 'SelectStmt' || !('withClause' in content)) return true
    lookWith(content as SelectStmt, visible, found)
    return false
  })
}

function lookWith({ withClause, ...statement }: SelectStmt, outside: ReadonlySet<string>, found: Set<RangeVar>): void {
  const queries = (withClause?.ctes ?? []).flatMap((node) => as('CommonTableExpr', node) ?? [])
  const visible = new Set(outside)
  if (withClause?.recursive) for (const { ctename } of queries) visible.add(ctename ?? '')
  for (const query of queries) {
    look(query, visible, found)
    visible.add(query.ctename ?? '')
  }
  look(statement, visible, found)
}
