import type { TypeName } from './ast.js'
import { strings } from './ast.js'
import type { NamedTypes } from './catalogue.js'
import { nameOfParts, quoted } from './mentions.js'

/**
 * The same tree, where the names of types that are known have the OID of what values are compared as: that of a domain is the type below
 * it. Parts without such a name stay the very same objects.
 */
export function withTypes<T>(tree: T, types: NamedTypes): T {
  if (types.size === 0 || typeof tree !== 'object' || tree === null) return tree
  if ('typemod' in tree && 'names' in tree) {
    const type = types.get(quoted(nameOfParts(strings((tree as TypeName).names))))
    return type ? { ...tree, typeOid: type.oid } : tree
  }
  if (Array.isArray(tree)) {
    const items = tree.map((item) => withTypes(item, types))
    return items.some((item, index) => item !== tree[index]) ? (items as T) : tree
  }
  const changed = Object.entries(tree).flatMap(([key, value]) => {
    const own = withTypes<unknown>(value, types)
    return own === value ? [] : [[key, own] as const]
  })
  return changed.length > 0 ? { ...tree, ...Object.fromEntries(changed) } : tree
}
