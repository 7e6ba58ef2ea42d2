import type { Node, TypeName } from './ast.js'
import { as, strings } from './ast.js'
import type { Level } from './scope.js'
import { passedTo } from './scope.js'
import { isHarmless, typeOf } from './values.js'

/** The expression with values in the place of the names of a function's parameters, where it is made of nothing but values, casts and arrays. */
export function valueIn(node: Node | undefined, level: Level): Node | undefined {
  const cast = as('TypeCast', node)
  if (cast?.arg) {
    const arg = valueIn(cast.arg, level)
    return arg === cast.arg || !arg || !cast.typeName ? node : castOf(arg, cast.typeName)
  }
  const array = as('A_ArrayExpr', node)
  if (array?.elements) {
    const elements = array.elements.map((each) => valueIn(each, level) ?? each)
    return elements.every((each, i) => each === array.elements![i]) ? node : { A_ArrayExpr: { ...array, elements } }
  }
  const fields = as('ColumnRef', node)?.fields
  const parts = strings(fields)
  return fields && parts.length === fields.length ? (passedTo(level, parts) ?? node) : node
}

/** A cast; of what has this type already, or a narrower one with the same values, nothing is made. */
export function castOf(arg: Node, typeName: TypeName): Node {
  const inner = as('TypeCast', arg)
  const from = inner && typeOf(inner.typeName, inner.typeName?.arrayBounds !== undefined)
  const to = typeOf(typeName, typeName.arrayBounds !== undefined)
  const isArray = typeName.arrayBounds !== undefined || inner?.typeName?.arrayBounds !== undefined
  const isSame = from !== undefined && to !== undefined && from > 0 && !isArray && isHarmless(from, to)
  return isSame ? arg : { TypeCast: { arg, typeName } }
}
