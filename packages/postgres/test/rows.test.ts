import { afterAll, beforeAll, expect, test } from 'vitest'
import { plain, type Recorder, until, type World, world } from './recorder.js'

let db: World
let log: Recorder

beforeAll(async () => {
  db = await world()
  await db.sql(
    'create table posts (id int primary key, author int, body text)',
    'alter table posts alter body set storage external',
    'create table fully (id int primary key, a int, body text)',
    'alter table fully replica identity full, alter body set storage external',
    'create table keyed (id int not null, code text not null, a int)',
    'create unique index keyed_code on keyed (code)',
    'alter table keyed replica identity using index keyed_code',
    'create table nothing (id int primary key, a int)',
    'alter table nothing replica identity nothing',
    'create table keyless (a int)',
    'create unlogged table unlogged (id int primary key)',
  )
  log = await db.log()
})

afterAll(async () => {
  await db?.end()
})

test('an insert has the new row, as text, with null for null', async () => {
  await db.sql("insert into posts values (1, null, 'a''b')")
  expect(plain(await log.since())).toEqual([
    { kind: 'row', op: 'insert', table: 'public.posts', old: null, new: { id: '1', author: null, body: "a'b" } },
  ])
})

test('an update under identity DEFAULT has the old identity, and says nothing of the other old values', async () => {
  await db.sql('update posts set author = 7 where id = 1')
  expect(plain(await log.since())).toEqual([
    { kind: 'row', op: 'update', table: 'public.posts', old: { id: '1' }, new: { id: '1', author: '7', body: "a'b" } },
  ])
})
