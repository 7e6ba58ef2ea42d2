import type { Image } from 'tidemark'
import { ProtocolError } from './errors.js'
import type { PgoutputMessage, Relation, TupleValue } from './protocol.js'

/**
 * The row before and after, as far as the log has it.
 *
 * The old values that were not sent are those of the identity columns, unchanged (else they would have been sent). A value of
 * the new row that was not sent is an unchanged TOAST value: it is filled from the old row where that has it, else unknown.
 */
export function rowImages(
  relation: Relation,
  message: PgoutputMessage & { readonly kind: 'insert' | 'update' | 'delete' },
): { readonly old: Image | null; readonly new: Image | null } {
  if (message.kind === 'insert') return { old: null, new: image(relation, message.new, false) }
  if (message.kind === 'delete') return { old: image(relation, message.old, message.sent === 'key'), new: null }
  if (message.sent === 'none') {
    if (relation.identity === 'full')
      throw new ProtocolError('An update under REPLICA IDENTITY FULL came without its old row.')
    return { old: image(relation, message.new, true), new: image(relation, message.new, false) }
  }
  const old = image(relation, message.old, message.sent === 'key')
  return { old, new: image(relation, message.new, false, old) }
}

/**
 * The prototype of rows: a column named "__proto__" is a column like any other. An object without any prototype would do too, but
 * V8 keeps those as dictionaries, which takes twice as long.
 */
const NOTHING: object = Object.freeze(Object.create(null))

function image(relation: Relation, tuple: readonly TupleValue[], isIdentityOnly: boolean, unchanged?: Image): Image {
  const { columns } = relation
  if (tuple.length !== columns.length) throw new ProtocolError('A row has another number of columns than its table.')
  const result: Record<string, string | null> = Object.create(NOTHING)
  for (let i = 0; i < columns.length; i++) {
    const { name, isIdentity } = columns[i]!
    // In a key tuple the other columns are null placeholders, not values.
    if (isIdentityOnly && !isIdentity) continue
    const value = tuple[i] === undefined ? unchanged?.[name] : tuple[i]
    if (value !== undefined) result[name] = value
  }
  return result
}
