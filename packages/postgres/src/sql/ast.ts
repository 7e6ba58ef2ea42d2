import type { Node } from 'libpg-query'

export type {
  A_Const,
  A_Expr,
  ColumnRef,
  CommonTableExpr,
  FuncCall,
  JoinExpr,
  Node,
  RangeFunction,
  RangeVar,
  SelectStmt,
  TypeName,
} from 'libpg-query'

type Tag<Each = Node> = Each extends unknown ? keyof Each : never
type Tagged<T extends Tag> = Extract<Node, Record<T, unknown>>[T & keyof Extract<Node, Record<T, unknown>>]

/** The node's content if it is of this kind. */
export function as<T extends Tag>(tag: T, node: Node | undefined): Tagged<T> | undefined {
  return (node as Readonly<Record<string, unknown>> | undefined)?.[tag] as Tagged<T> | undefined
}

/** The strings of a list of String nodes: the parts of a name. Parts of another kind (`*`) are left out. */
export function strings(nodes: readonly Node[] | undefined): string[] {
  const parts: string[] = []
  for (const node of nodes ?? []) {
    const text = as('String', node)
    if (text) parts.push(text.sval ?? '')
  }
  return parts
}

/**
 * Calls `visit` for every node below `root`, whatever its kind: so nothing that a newer grammar adds is passed over.
 * Parts that the parser gives without their kind (a table in INTO, a call in CALL, the type of a cast) are recognised by their fields.
 * Below a node for which `visit` returns false it does not go.
 */
export function walk(root: unknown, visit: (tag: string, content: object) => unknown): void {
  if (typeof root !== 'object' || root === null) return
  if (Array.isArray(root)) {
    for (const item of root) walk(item, visit)
    return
  }
  for (const [key, value] of Object.entries(root)) {
    if (typeof value !== 'object' || value === null) continue
    const tag = tagOf(key, value)
    if (!tag || visit(tag, value) !== false) walk(value, visit)
  }
}

function tagOf(key: string, value: object): string | undefined {
  if (/^[A-Z]/.test(key)) return key
  if ('relname' in value) return 'RangeVar'
  if ('typemod' in value && 'names' in value) return 'TypeName'
  if ('funcname' in value) return 'FuncCall'
  if ('limitOption' in value || 'targetList' in value) return 'SelectStmt'
  return undefined
}
