import { logContract } from 'tidemark/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { WalLog } from '../src/index.js'
import { World } from './opened.js'

let world: World

beforeAll(async () => {
  world = await World.create('create table posts (id int primary key, title text)')
  await world.admin.query("insert into posts values (1, 'a')")
})
afterAll(() => world?.drop())

describe('the WAL', () => {
  const open = async () => {
    const log = new WalLog({ url: world.database.url })
    return {
      log,
      commit: async () => void (await world.admin.query("update posts set title = title || 'x'")),
      cut: async () =>
        void (await world.admin.query(
          'select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database()',
        )),
      close: async () => undefined,
    }
  }
  for (const { name, run } of logContract(open)) test(name, run)
})
