import { logContract } from 'tidemark/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { WalLog } from '../src/index.js'
import { World } from './opened.js'

let world: World
let slots = 0

beforeAll(async () => {
  world = await World.create('create table posts (id int primary key, title text)')
  await world.admin.query("insert into posts values (1, 'a')")
})
afterAll(() => world?.drop())

describe.each([
  { through: 'temporary slots', isShared: false },
  { through: 'a shared slot', isShared: true },
])('the WAL, through $through', ({ isShared }) => {
  const open = async () => {
    // Each its own: a slot delivers to the next holder what the last one did not acknowledge.
    const slot = `contract_${++slots}`
    const log = new WalLog({ url: world.database.url, ...(isShared ? { slot } : {}) })
    return {
      log,
      commit: async () => void (await world.admin.query("update posts set title = title || 'x'")),
      cut: async () =>
        void (await world.admin.query(
          'select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database()',
        )),
      close: async () =>
        void (await world.admin.query(
          'select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1',
          [slot],
        )),
    }
  }
  for (const { name, run } of logContract(open)) test(name, run)
})
