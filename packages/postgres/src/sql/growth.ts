import type { SelectStmt } from './ast.js'

/**
 * What of an answer grows by a row more in its tables, and so shrinks, if anything, by a row less: its rows, of which none is another then;
 * only whether there are any; or nothing of which that is sure. In the first two cases no row that leaves a table brings one into an answer
 * that has none.
 */
export type Growth = 'rows' | 'presence' | 'none'

/**
 * By what of its arms that grows which grows by a set operation.
 *
 * @param growth  what is made of its answer grows by this
 */
export function growthsOf({ op, limitCount, limitOffset }: SelectStmt, growth: Growth): readonly [Growth, Growth] {
  const isCut = limitCount !== undefined || limitOffset !== undefined
  if (growth === 'none' || (isCut && growth === 'rows')) return ['none', 'none']
  if (op === 'SETOP_UNION') return isCut ? ['rows', 'rows'] : [growth, growth]
  return op === 'SETOP_EXCEPT' ? ['rows', 'none'] : ['rows', 'rows']
}
