/** What is written and read: each row says its tenant, its key and how often it was written, so that every answer can be judged. */
export const schema = `
  create table if not exists items (id int primary key, tenant text not null, version bigint not null, body text not null);
  truncate items`

export async function fill(client, { keys, tenants }) {
  await client.query(schema)
  await client.query(
    "insert into items select n, 'tenant' || n % $2, 0, repeat('x', 100) from generate_series(0, $1 - 1) n",
    [keys, tenants],
  )
}
