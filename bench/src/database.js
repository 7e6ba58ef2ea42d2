import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbedded } from '@tidemark/embedded'
import pg from 'pg'

/** A PostgreSQL of our own with one table, for as long as `use` runs. */
export async function withDatabase({ isDurable }, use) {
  const dataDir = mkdtempSync(join(tmpdir(), 'tidemark-bench-'))
  let server
  try {
    server = await startEmbedded({ dataDir, isDurable })
    const url = await server.createDatabase('bench')
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(`
      create table posts (id bigint primary key, author_id bigint not null, title text not null, body text not null, upvotes int not null);
      insert into posts select i, i % 100, 'title ' || i, repeat('body ', 40), 0 from generate_series(1, 1000) i;
      create table bulk (id bigint, author_id bigint not null, title text not null, body text not null, upvotes int not null);
      alter table bulk replica identity full;
      create publication bench for table posts, bulk`)
    await client.end()
    return await use({ url, version: server.serverVersion })
  } finally {
    await server?.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}
