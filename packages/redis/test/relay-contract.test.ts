import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { postgres } from '@tidemark/postgres'
import pg from 'pg'
import { logContract } from 'tidemark/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { redisRelay } from '../src/index.js'
import { Recorder } from './recorder.js'
import { RedisServer, until } from './redis-server.js'

let database: TestDatabase
let server: RedisServer
let admin: pg.Client
let opened = 0

beforeAll(async () => {
  ;[database, server] = await Promise.all([testDatabase(), RedisServer.start()])
  admin = new pg.Client({ connectionString: database.url })
  await admin.connect()
  await admin.query("create table posts (id int primary key, title text); insert into posts values (1, 'a')")
})
afterAll(async () => {
  await admin?.end()
  await Promise.all([database?.drop(), server?.drop()])
})

describe("the WAL, through another process's relay", () => {
  const open = async () => {
    const slot = `relayed_${++opened}`
    const openLog = () => {
      const relay = redisRelay({ url: server.url, stream: slot, secret: 'ours' })
      return postgres({ url: database.url, slot, secret: 'ours', relay }).openLog()!
    }
    const leader = new Recorder(openLog())
    await until(() => leader.log.status().slot?.isHeld === true, 'leads')
    // The birth of the stream, and where the leader is: before that a follower says that nobody leads.
    await until(async () => (await server.admin.xlen(slot)) >= 2, 'relays')
    return {
      log: openLog(),
      commit: async () => void (await admin.query("update posts set title = title || 'x'")),
      cut: async () => void (await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')),
      close: async () => {
        await leader.log.close()
        await admin.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1', [
          slot,
        ])
      },
    }
  }
  for (const { name, run } of logContract(open)) test(name, run)
})
