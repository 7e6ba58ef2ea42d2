import type { Change, RowChange } from 'tidemark'

/**
 * What a transaction did in the end: a row that was deleted and inserted again is one that was updated, if only to what it was. Nobody
 * sees the state in between. So a list that is written anew touches what depends on the rows of it that are others now.
 *
 * It takes the whole old row (REPLICA IDENTITY FULL, or a key of all columns). Which of two equal rows is meant makes no difference to any
 * answer; so neither does which row is taken for which: a row that moves to another partition comes as a delete with an insert behind it.
 */
export function netOf(changes: readonly Change[]): readonly Change[] {
  if (changes.length < 2) return changes
  const tables = writtenAnew(changes)
  if (tables.size === 0) return changes
  const net: (Change | undefined)[] = [...changes]
  for (const places of placesByTable(changes, tables)) {
    pairEqual(net, places)
    pairMoved(net, places)
  }
  return net.filter((change) => change !== undefined)
}

/** Tables of which rows were deleted and inserted. */
function writtenAnew(changes: readonly Change[]): Set<string> {
  const found = new Set<string>()
  const ops = { insert: new Set<string>(), delete: new Set<string>() }
  let last: string | undefined
  let op: string | undefined
  for (const change of changes) {
    if (change.kind !== 'row' || change.op === 'update' || (change.table === last && change.op === op)) continue
    last = change.table
    op = change.op
    ops[change.op].add(last)
    if (ops.insert.has(last) && ops.delete.has(last)) found.add(last)
  }
  return found
}

function placesByTable(changes: readonly Change[], tables: ReadonlySet<string>): Iterable<readonly number[]> {
  const places = new Map<string, number[]>()
  for (const [place, change] of changes.entries()) {
    if (change.kind !== 'row' || !tables.has(change.table)) continue
    const own = places.get(change.table)
    if (own) own.push(place)
    else places.set(change.table, [place])
  }
  return places.values()
}

/** Rows that are equal in all columns. */
function pairEqual(net: (Change | undefined)[], places: readonly number[]): void {
  const open = new Map<string, number[]>()
  for (const place of places) {
    const change = net[place] as RowChange
    if (change.op !== 'delete') continue
    const text = JSON.stringify(change.old)
    const equal = open.get(text)
    if (equal) equal.push(place)
    else open.set(text, [place])
  }
  for (const place of places) {
    const change = net[place] as RowChange | undefined
    if (change?.op !== 'insert') continue
    const gone = open.get(JSON.stringify(change.new))?.pop()
    if (gone === undefined) continue
    net[gone] = undefined
    net[place] = { ...change, op: 'update', old: change.new }
  }
}

/** A row with one behind it that is equal in most columns. */
function pairMoved(net: (Change | undefined)[], places: readonly number[]): void {
  for (let i = 1; i < places.length; i++) {
    const [gone, come] = [net[places[i - 1]!] as RowChange | undefined, net[places[i]!] as RowChange | undefined]
    if (gone?.op !== 'delete' || come?.op !== 'insert' || !isAlike(gone, come)) continue
    net[places[i - 1]!] = undefined
    net[places[i]!] = { ...come, op: 'update', old: gone.old }
  }
}

function isAlike({ old }: RowChange, { new: now }: RowChange): boolean {
  const columns = Object.keys(now!)
  if (Object.keys(old!).length !== columns.length || !columns.every((name) => old![name] !== undefined)) return false
  return columns.filter((name) => old![name] === now![name]).length * 2 > columns.length
}
