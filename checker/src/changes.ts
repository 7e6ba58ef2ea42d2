import { list, optional, raw, sql } from './fragment.js'
import { literal } from './kinds.js'
import type { Random } from './random.js'
import { type Column, randomKey, randomValue, rowsOf, type Schema, type Table } from './schema.js'
import { statement, update, type Write } from './writes.js'

/** A statement that writes rows: mostly as applications do, by key. */
export function randomChange(random: Random, schema: Schema): readonly Write[] {
  const table = random.pick(schema.tables)
  const form = random.weighted({
    insert: 3,
    upsert: 1.5,
    update: 9,
    many: 2,
    key: 0.7,
    delete: 2,
    'delete many': 0.5,
    truncate: 0.1,
    select: 0.5,
    with: 0.4,
    merge: 0.4,
    move: 1,
  })
  switch (form) {
    case 'insert':
      return [rowsOf(random, table, numbers(random, random.chance(0.7) ? 1 : 3), ' on conflict do nothing')]
    case 'upsert': {
      if (table.keys.length === 0) return [rowsOf(random, table, numbers(random, 1), '')]
      const [column] = changed(random, table)
      return [
        rowsOf(
          random,
          table,
          numbers(random, 1),
          ` on conflict (${table.keys.join(', ')}) do update set ${column!.name} = excluded.${column!.name}`,
        ),
      ]
    }
    case 'update':
      return [update(table.name, assignments(random, table), byKey(random, table))]
    case 'many':
      return [update(table.name, assignments(random, table), byValue(random, table))]
    case 'key':
      return [changeKey(random, table)]
    case 'delete':
      return [statement(`delete from ${table.name} where ${byKey(random, table)}`)]
    case 'delete many':
      return [statement(`delete from ${table.name} where ${byValue(random, table)} and ${byValue(random, table)}`)]
    case 'truncate':
      return [
        statement(
          `truncate ${random.chance(0.3) && table.partitions.length > 0 ? random.pick(table.partitions) : table.name}`,
        ),
      ]
    case 'select': {
      const [column] = changed(random, table)
      return [
        statement(
          `update ${table.name} set ${column!.name} = o.${column!.name} from ${table.name} o where ${byKey(random, table, `${table.name}.`)} and ${byKey(random, table, 'o.')}`,
        ),
      ]
    }
    case 'with':
      return [
        statement(
          `with gone as (delete from ${table.name} where ${byKey(random, table)} returning *) insert into ${table.name} select * from gone`,
        ),
      ]
    case 'merge':
      return [merge(random, table)]
    case 'move': {
      const partitioned = schema.tables.find(({ partitions }) => partitions.length > 0)
      if (!partitioned) return [update(table.name, assignments(random, table), byKey(random, table))]
      return [update('p', [`part = ${random.below(5)}`], `id = ${random.below(16)}`)]
    }
  }
}

function numbers(random: Random, count: number): number[] {
  return [...new Set([...Array(count)].map(() => random.below(22)))]
}

/** Columns that an update sets. */
function changed(random: Random, { columns, keys }: Table): Column[] {
  const others = columns.filter(({ name }) => !keys.includes(name) && name !== 'id' && name !== 'part' && name !== 'u')
  return random.some(others, 1 / others.length)
}

/** What an update sets: some columns, to random values. */
export function assignments(random: Random, table: Table): string[] {
  return changed(random, table).map((column) => {
    const isCounted = column.name === 'x' && random.chance(0.3)
    return `${column.name} = ${isCounted ? '(coalesce(x, 0) + 1) % 5' : randomValue(random, column)}`
  })
}

function byKey(random: Random, table: Table, prefix = ''): string {
  const key = randomKey(random, table)
  const names = table.keys.length > 0 ? table.keys : ['id']
  // Of a partition's key the id alone will do.
  const used = table.partitions.length > 0 ? ['id'] : names
  return used.map((name) => `${prefix}${name} = ${key[names.indexOf(name)]}`).join(' and ')
}

function byValue(random: Random, { columns }: Table): string {
  const { name, kind } = random.pick(columns)
  return kind.family === 'json' ? `${name} is null` : `${name} = ${literal(random.pick(kind.values))}::${kind.cast}`
}

function changeKey(random: Random, table: Table): Write {
  const names = table.keys.length > 0 ? table.keys : ['id']
  const key = randomKey(random, table)
  const sets = names.map((name, index) => `${name} = ${key[index]}`)
  return update(table.name, [...sets, ...(random.chance(0.3) ? assignments(random, table) : [])], byKey(random, table))
}

/** PostgreSQL 15 and later. */
function merge(random: Random, table: Table): Write {
  const [column] = changed(random, table)
  const source = `(select * from ${table.name} where x = ${random.below(5)}) s`
  const names = table.keys.length > 0 ? table.keys : ['id']
  const on = names.map((name) => `s.${name} = m.${name}`).join(' and ')
  const target = table.partitions.length > 0 ? '' : ` when matched and m.x = 1 then delete`
  const fragment = sql`merge into ${table.name} m using ${source} on ${on} ${optional(raw(target))} when matched then update set ${list([raw(`${column!.name} = ${randomValue(random, column!)}`)], ', ')}`
  return { kind: 'sql', fragment }
}
