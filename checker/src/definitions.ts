import { COMMON } from './kinds.js'
import type { Random } from './random.js'
import { randomValue, type Schema, type Table } from './schema.js'
import { statement, type Write } from './writes.js'

/** A statement that changes what tables are. The model of the schema follows, so that later writes mostly succeed. */
export function randomDefinition(random: Random, schema: Schema): readonly Write[] {
  const index = random.below(schema.tables.length)
  const table = schema.tables[index]!
  const become = (changes: Partial<Table>): void => {
    schema.tables[index] = { ...table, ...changes }
  }
  const column = random.pick(table.columns.filter(({ name }) => /^"?c/i.test(name)))
  const form = random.weighted({
    'add column': 2,
    'add default': 1,
    'drop column': 1.5,
    'rename column': 1,
    index: 1,
    comment: 0.7,
    identity: 1.5,
    partition: 2,
    view: 1.5,
    retype: 0.7,
    'rename table': 0.7,
    recreate: 0.7,
    enum: 0.4,
    function: 1,
    truncate: 0.5,
    policy: 0.3,
    constraint: 0.5,
  })
  const { name } = table
  const bare = name.replace(/^other\./, '')
  const isWhole = name !== 'h' && name !== 'h1'
  switch (form) {
    case 'add column':
    case 'add default': {
      const added = { name: `added${random.count() % 1000}`, kind: random.pick(COMMON) }
      become({ columns: [...table.columns, added] })
      const value = form === 'add default' ? ` default ${randomValue(random, added)}` : ''
      return [statement(`alter table ${name} add column ${added.name} ${added.kind.type}${value}`)]
    }
    case 'drop column':
      if (column && isWhole) become({ columns: table.columns.filter((each) => each !== column) })
      return [statement(`alter table ${name} drop column ${column?.name ?? 'none'}`)]
    case 'rename column': {
      const renamed = `renamed${random.count() % 1000}`
      if (column && isWhole)
        become({ columns: table.columns.map((each) => (each === column ? { ...each, name: renamed } : each)) })
      return [statement(`alter table ${name} rename column ${column?.name ?? 'none'} to ${renamed}`)]
    }
    case 'index':
      return [statement(`create index on ${name} (x)`)]
    case 'comment':
      return [statement(`comment on table ${name} is 'seen ${random.count()}'`)]
    case 'identity':
      return [statement(`alter table ${name} replica identity ${random.pick(['full', 'default', 'full', 'nothing'])}`)]
    case 'partition':
      return partition(random, schema)
    case 'view':
      return [
        statement(
          `create or replace view v3 as select x, ${random.pick(['count(*)', 'count(id)', 'sum(id)::bigint'])} as n from ${schema.tables[0]!.name} group by x`,
        ),
      ]
    case 'retype':
      return [statement(`alter table ${name} alter column ref type ${random.pick(['bigint', 'int', 'numeric'])}`)]
    case 'rename table':
      // And another one in its place.
      return [
        statement(`alter table ${name} rename to old_name`),
        statement(`alter table ${name.replace(bare, 'old_name')} rename to ${bare}`),
      ]
    case 'recreate':
      return [
        statement(`create table copied as select * from ${name} where x > 0`),
        statement(`alter table ${name} rename to gone${random.count()}`),
        statement(`alter table copied rename to ${bare}`),
        statement(`alter table ${bare} add primary key (${table.keys.join(', ') || 'id'})`),
      ]
    case 'enum':
      return [statement(`alter type mood add value if not exists 'new${random.count() % 1000}'`)]
    case 'function':
      return [statement(random.pick(random.pick(schema.functions).ways))]
    case 'truncate':
      return [statement(`truncate ${name} cascade`)]
    case 'policy':
      return [statement(`alter table ${name} enable row level security`)]
    case 'constraint':
      return [statement(`alter table ${name} add constraint less${random.count()} check (x < 100)`)]
  }
}

function partition(random: Random, schema: Schema): Write[] {
  const partitioned = schema.tables.find(({ partitions }) => partitions.length > 0)
  if (!partitioned) return [statement('analyze')]
  return [
    random.pick([
      'alter table p detach partition p0',
      'alter table p attach partition p0 for values in (0)',
      'alter table p detach partition p2',
      'alter table p attach partition p2 default',
      'create table p4 partition of p for values in (4)',
      'drop table if exists p4',
      'alter table p1 detach partition p1a',
      'alter table p1 attach partition p1a for values in (1)',
    ]),
  ].map(statement)
}
