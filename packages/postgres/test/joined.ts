import type { World } from './opened.js'

/** Tables that lead to each other in a circle, a → b → c → a, and one that leads to b, of which the log has no old values. */
export const JOINED = `
  create table a (id int primary key, x int, b_id int);
  create table b (id int primary key, x int, c_id int);
  create table c (id int primary key, x int, a_id int);
  create table d (id int primary key, x int, b_id int);
  alter table a replica identity full;
  alter table b replica identity full;
  alter table c replica identity full;`

/** Some rows of each, and no others. */
export async function fillJoined({ admin }: World): Promise<void> {
  await admin.query('truncate a, b, c, d')
  await admin.query('insert into a values (1, 1, 1), (2, 1, 2), (3, 2, 3)')
  await admin.query('insert into b values (1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 1, 4)')
  await admin.query('insert into c values (1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 1, 4)')
  await admin.query('insert into d values (1, 1, 1), (2, 1, 2), (3, 2, 3)')
}
