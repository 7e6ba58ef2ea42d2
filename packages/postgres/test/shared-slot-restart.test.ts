import { cpSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Sql } from '../src/index.js'
import { SilentLine } from './line.js'
import { type Opened, until, World } from './opened.js'
import { giveTo } from './standby.js'

/*
 * What the process that holds the shared slot keeps over a restart of the server: what was filled before its newest mark in the log, and
 * only if the log holds that mark still.
 */

const slot = 'shared_by_all'
let world: World
let line: SilentLine
let opened: Opened
let emptied: number[]

beforeEach(async () => {
  world = await World.create(
    "create table posts (id int primary key, title text); insert into posts select id, 'old' from generate_series(1, 9) id",
    {},
  )
  line = await SilentLine.to(world.database.url)
  opened = await world.open({ slot, url: line.url })
  emptied = []
  opened.cache.on('started', (start) => emptied.push(start.emptied))
})
afterEach(async () => {
  await line?.end()
  await world?.drop()
})

const define = () =>
  opened.cache.define(
    'post',
    ({ sql }: { sql: Sql }, id: number) => sql.one<{ title: string }>`select title from posts where id = ${id}`,
  )

async function isKept(post: ReturnType<typeof define>, id: number): Promise<void> {
  await until(async () => (await post.ask(id)).from === 'l1')
}

/** Resolves once the process has written a mark after the call. */
async function isMarked(): Promise<void> {
  const admin = new pg.Client({ connectionString: world.database.url })
  await admin.connect()
  await admin.query("select pg_create_logical_replication_slot('peek', 'pgoutput', true)")
  await until(async () => {
    const { rows } = await admin.query(
      `select count(*)::int from pg_logical_slot_peek_binary_changes('peek', null, null, 'proto_version', '1', 'publication_names', 'tidemark',
         'messages', 'true') where position('tidemark/mark'::bytea in data) > 0`,
    )
    return rows[0].count > 0
  })
  await admin.end()
}

/** As any program would. */
async function write(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: world.database.url })
  await client.connect()
  await client.query(statement)
  await client.end()
}

async function isFollowing(): Promise<void> {
  await until(
    () => emptied.length > 0 && opened.cache.status().current,
    () => JSON.stringify(opened.cache.status()),
  )
}

it('what was filled before the newest mark stays, and what is committed afterwards is seen', {
  timeout: 120_000,
}, async () => {
  const post = define()
  await isKept(post, 1)
  await isKept(post, 2)
  await isMarked()
  await isKept(post, 3)
  await world.database.server.restart()
  await isFollowing()
  expect(emptied[0]).toBeLessThanOrEqual(1)
  expect(post.peek(1)).toEqual({ title: 'old' })
  expect(post.peek(2)).toEqual({ title: 'old' })
  await write("update posts set title = 'new' where id = 1")
  await until(() => post.peek(1) === undefined)
  expect(await post(1)).toEqual({ title: 'new' })
  expect(post.peek(2)).toEqual({ title: 'old' })
})

it('the same after a crash', { timeout: 120_000 }, async () => {
  const post = define()
  await isKept(post, 1)
  await isMarked()
  // It is delivered once this is.
  await write("update posts set title = 'new' where id = 9")
  await isKept(post, 9)
  await until(() => opened.cache.status().current)
  world.database.server.kill()
  await world.database.server.restart()
  await isFollowing()
  expect(emptied[0]).toBeLessThanOrEqual(1)
  expect(post.peek(1)).toEqual({ title: 'old' })
  await write("update posts set title = 'newer' where id = 1")
  await until(() => post.peek(1) === undefined)
  expect(await post(1)).toEqual({ title: 'newer' })
})

it('nothing stays where the files were replaced by a copy from before the mark, however much was written there since', {
  timeout: 120_000,
}, async () => {
  const post = define()
  const { server } = world.database
  const files = join(server.dataDir, 'postgres')
  const copy = `${server.dataDir} copied`
  const owner = statSync(files)
  await isKept(post, 1)
  await server.stop()
  cpSync(files, copy, { recursive: true, filter: (path) => !path.endsWith('postmaster.pid') })
  try {
    await server.restart()
    await isFollowing()
    let isApplied = false
    opened.cache.on('applied', ({ changes }) => {
      if (changes['public.posts update']) isApplied = true
    })
    await write("update posts set title = 'lost' where id = 1")
    // What is kept before the log comes to that commit is dropped by it.
    await until(() => isApplied)
    await until(async () => (await post.ask(1)).value?.title === 'lost')
    await isKept(post, 1)
    await isMarked()
    await until(() => opened.cache.status().current)
    line.leadTo('postgres:///test?host=/nowhere')
    await server.stop()
    rmSync(files, { recursive: true })
    cpSync(copy, files, { recursive: true })
    giveTo(files, owner)
    await server.restart()
    // The log has the place of the mark again, and something else there.
    await write("select pg_logical_emit_message(true, 'fill', repeat('x', 3000000))")
    emptied.length = 0
    line.leadTo(world.database.url)
    await isFollowing()
    expect(post.peek(1)).toBeUndefined()
    expect(emptied[0]).toBe(1)
    await isKept(post, 1)
    expect(await post(1)).toEqual({ title: 'old' })
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
})
