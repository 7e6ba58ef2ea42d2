import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { fillJoined, JOINED } from './joined.js'
import { World } from './opened.js'

/* A row that is let pass for want of a partner: what its partners need themselves, and what becomes of it later. */

let world: World

beforeAll(async () => {
  world = await World.create(JOINED)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

async function opened(text: string, values: unknown[] = []) {
  await fillJoined(world)
  return world.keeping(text, values)
}

it('a row that was let pass is followed by all columns, also where it only leads to others', async () => {
  await opened('select 1')
  await world.admin.query('delete from c')
  const drops = await world.keeping(
    'select count(*) from c join a on a.b_id = c.a_id join b on b.id = a.b_id where a.id >= 0 and exists (select from d where d.x = a.x)',
  )
  await drops('insert into c values (50, 1, 50)', 'insert into b values (50, 1, 50)')
  expect(await drops('insert into a values (50, 77, 50)')).toBe(false)
  expect(await drops('update a set x = 1 where id = 50')).toBe(true)
})

describe('a row whose partner has none itself', () => {
  const text =
    'select a.id, b.id as b, c.id as c from a join b on b.id = a.b_id join c on c.id = b.c_id where a.x > 0 and b.x > 0 and c.x > 0 order by 1'
  /** `b` 40 leads to none of `c`, and was there when the answer was loaded. */
  const loaded = async () => {
    const drops = await opened(text)
    await drops('insert into b values (40, 1, 41)')
    expect(await drops('insert into a values (41, 1, 1)')).toBe(true)
    return drops
  }

  it('touches nothing', async () => {
    const drops = await loaded()
    expect(await drops('insert into a values (40, 1, 40)')).toBe(false)
    expect(await drops('update a set x = 2 where id = 40')).toBe(false)
    expect(await drops('delete from a where id = 40')).toBe(false)
  })

  it.each([
    ['what that needs comes', 'insert into c values (41, 1, 1)'],
    ['that is led to another', 'update b set c_id = 1 where id = 40'],
    ['that is written anew', 'delete from b where id = 40; insert into b values (40, 1, 2)'],
    ['what that needs comes into the condition', 'insert into c values (41, -1, 1); update c set x = 1 where id = 41'],
  ])('is seen when %s', async (_, write) => {
    const drops = await loaded()
    expect(await drops('insert into a values (40, 1, 40)')).toBe(false)
    expect(await drops(write)).toBe(true)
  })

  it('is seen when it comes after what led its partner on', async () => {
    const drops = await loaded()
    await drops('update b set c_id = 1 where id = 40')
    expect(await drops('insert into a values (40, 1, 40)')).toBe(true)
  })
})

it('a partner must equal the row in each column by which they are joined', async () => {
  const drops = await opened(
    'select a.id, c.id as c from a join c on c.id = a.b_id and c.a_id = a.x where a.id >= 0 and c.x > 0 order by 1, 2',
  )
  expect(await drops('insert into a values (20, 3, 2)')).toBe(false)
  expect(await drops('update c set a_id = 3 where id = 2')).toBe(true)
  expect(await drops('insert into a values (21, 3, 2)')).toBe(true)
})

it('a row does not matter at a place whose own conditions it does not meet', async () => {
  const drops = await opened(
    'select p.id, q.id as other from a p join a q on q.id = p.b_id where p.x = 1 and q.x > 1 order by 1, 2',
  )
  expect(await drops('insert into a values (20, 1, 99)')).toBe(false)
  expect(await drops('update a set b_id = 3 where id = 20')).toBe(true)
  expect(await drops('insert into a values (99, 5, 3)')).toBe(false)
})

describe.each([
  ['a value that it must not have', 'b.x <> 5', [], '5', '1'],
  ['one of a list', 'b.x <> all($1)', [[5, 6]], '6', '1'],
  ['no NULL', 'b.x is not null', [], 'null', '1'],
  ['a value that it must differ from', 'b.x is distinct from 5', [], '5', 'null'],
])('a row whose partners do not meet what is said of them: %s', (_, condition, values, refused, taken) => {
  const text = `select a.id, b.id as b, c.id as c from a join b on b.id = a.b_id join c on c.id = b.c_id where a.x > 0 and ${condition} and c.x > 0 order by 1`

  it('touches nothing until one does, or another comes that does', async () => {
    const drops = await opened(text, values)
    await drops(`insert into b values (60, ${refused}, 1), (61, ${refused}, 1)`)
    expect(await drops('insert into a values (60, 1, 1)')).toBe(true)
    expect(await drops('insert into a values (61, 1, 60), (62, 1, 61)')).toBe(false)
    expect(await drops(`update b set x = ${taken} where id = 60`)).toBe(true)
    expect(await drops('insert into a values (63, 1, 61)')).toBe(false)
    expect(await drops('delete from b where id = 61', `insert into b values (61, ${taken}, 1)`)).toBe(true)
  })
})

it('a row that was waited for, and does not meet what is said of it, touches nothing until it does', async () => {
  const drops = await opened(
    'select a.id, b.id as b, c.id as c from a join b on b.id = a.b_id join c on c.id = b.c_id where a.x > 0 and b.x > 0 and c.x > 0 order by 1',
  )
  expect(await drops('insert into a values (70, 1, 70)')).toBe(false)
  expect(await drops('insert into b values (70, -1, 1)')).toBe(false)
  expect(await drops('update b set c_id = 2 where id = 70')).toBe(false)
  expect(await drops('update b set x = 1 where id = 70')).toBe(true)
})

it('a row that was let pass may be truncated', async () => {
  const drops = await opened(
    'select a.id, b.id as b from a join b on b.id = a.b_id where a.x > 5 and b.x > 0 order by 1',
  )
  expect(await drops('insert into a values (80, 6, 80)')).toBe(false)
  expect(await drops('truncate a')).toBe(false)
  expect(await drops('insert into a values (80, 6, 80)')).toBe(false)
  expect(await drops('insert into b values (80, 1, 1)')).toBe(true)
  expect(await drops('truncate a')).toBe(true)
})
