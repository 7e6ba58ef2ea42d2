import type { Redis } from 'ioredis'

/** Appends a body as a process of ours would. */
export async function appendRaw(admin: Redis, stream: string, body: string, seal = '', token?: string): Promise<void> {
  const [id, fields] = (await admin.xrevrange(stream, '+', '-', 'COUNT', 1))[0]!
  const of = (name: string) => fields[fields.indexOf(name) + 1]!
  await admin.xadd(
    stream,
    `${Number(id.split('-')[0]) + 1}-0`,
    'e',
    of('e'),
    'p',
    id,
    'q',
    of('t'),
    't',
    token ?? `raw ${id}`,
    'b',
    body,
    'h',
    seal,
  )
}
