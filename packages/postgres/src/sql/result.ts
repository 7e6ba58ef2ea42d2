import type { Body } from './body.js'
import type { Passing } from './passing.js'
import type { BoundColumn, Output, SelectAnswer } from './scope.js'
import { isHarmless } from './values.js'

/**
 * The answer of a body as its caller sees it: by the names that the function gives to its columns. A column that the function casts to
 * another type, or compares under another collation, is not the one that its body reads.
 */
export function resultOf({ code }: Body, { isPlain }: Passing, answer: SelectAnswer): SelectAnswer {
  const isPlaced = answer.isComplete && answer.outputs.length === code.columns.length
  const outputs = code.columns.map(({ name, oid, modifier, collation }, index): Output => {
    const column = isPlaced ? answer.outputs[index]!.column : undefined
    const isSame =
      column !== undefined &&
      isOfType(column, oid, modifier) &&
      column.column.collation === collation &&
      // The arguments decide under which collation a value is compared.
      (code.isRow || collation === 0 || isPlain)
    return { name: name ?? '', column: isSame ? column : undefined }
  })
  return { ...answer, outputs, isComplete: true }
}

function isOfType({ column }: BoundColumn, oid: number, modifier: number): boolean {
  if (column.kind === 'c') return false
  const isCut = modifier >= 0 && column.modifier !== modifier
  return !isCut && (column.type === oid || isHarmless(column.type, oid))
}
