import { describe, expect, test } from 'vitest'
import type { RowChange } from '../log/change.js'
import { type Condition, type Dependency, type Range, type RowsDependency, VERSION } from './dependency.js'
import { reach } from './match.js'

const rows = (columns: string[], values: (string | null)[], old: RowsDependency['old'] = 'members'): Dependency => ({
  kind: 'rows',
  table: 'public.posts',
  columns,
  values,
  old,
})
const update = (old: RowChange['old'], now: RowChange['new']): RowChange => ({
  kind: 'row',
  op: 'update',
  table: 'public.posts',
  old,
  new: now,
})
const insert = (now: RowChange['new']): RowChange => ({
  kind: 'row',
  op: 'insert',
  table: 'public.posts',
  old: null,
  new: now,
})
const remove = (old: RowChange['old']): RowChange => ({
  kind: 'row',
  op: 'delete',
  table: 'public.posts',
  old,
  new: null,
})

describe('a row', () => {
  test('reaches what its new values say, and what its old values say', () => {
    expect(reach(rows(['author'], ['7']), insert({ id: '1', author: '7' }))).toBe('exact')
    expect(reach(rows(['author'], ['8']), insert({ id: '1', author: '7' }))).toBe('none')
    expect(reach(rows(['author'], ['8']), update({ author: '8' }, { author: '7' }))).toBe('exact')
    expect(reach(rows(['author'], ['8']), remove({ author: '8' }))).toBe('exact')
  })

  test('of another table reaches nothing', () => {
    expect(reach({ ...rows(['id'], ['1']), table: 'public.other' } as Dependency, insert({ id: '1' }))).toBe('none')
  })

  test('reaches a dependency on the whole table', () => {
    expect(reach({ kind: 'table', table: 'public.posts' }, remove({}))).toBe('exact')
  })

  test('without the old value is left to the members, or touches the shape', () => {
    expect(reach(rows(['author'], ['7'], 'members'), remove({ id: '1' }))).toBe('none')
    expect(reach(rows(['author'], ['7'], 'coarse'), remove({ id: '1' }))).toBe('coarse')
    expect(reach(rows(['author'], ['7'], 'coarse'), update({ id: '1' }, { id: '1', author: '8' }))).toBe('coarse')
    expect(reach(rows(['author'], ['7'], 'members'), update({ id: '1' }, { id: '1', author: '7' }))).toBe('exact')
  })

  test('that leaves is left to the members, where that is said; one that comes is not', () => {
    const ignored = { ...rows(['author'], ['7'], 'ignored'), reads: ['author', 'at'] } as Dependency
    expect(reach(ignored, remove({ author: '7' }))).toBe('none')
    expect(reach(ignored, update({ author: '7' }, { author: '8' }))).toBe('none')
    expect(reach(ignored, update({ author: '8' }, { author: '7' }))).toBe('exact')
    expect(reach(ignored, insert({ author: '7' }))).toBe('exact')
    expect(reach(ignored, update({ author: '7', at: '1' }, { author: '7', at: '2' }))).toBe('exact')
    expect(reach(ignored, update({ author: '7', at: '1', x: '1' }, { author: '7', at: '1', x: '2' }))).toBe('unchanged')
    // What is not known may have changed.
    expect(reach(ignored, update({ id: '1' }, { id: '1', author: '7', at: '1' }))).toBe('exact')
    expect(reach(ignored, update({ id: '1' }, { id: '1' }))).toBe('coarse')
  })

  test('that an update leaves as it was reaches nothing but what reads its version', () => {
    const image = { id: '1', author: '7' }
    const whole: Dependency = { kind: 'table', table: 'public.posts' }
    for (const each of [rows(['author'], ['7']), whole]) {
      expect(reach(each, update(image, image))).toBe(each === whole ? 'unchanged' : 'none')
      expect(reach({ ...each, reads: [VERSION] } as Dependency, update(image, image))).toBe('exact')
      expect(reach(each, update({ id: '1' }, image))).toBe('exact')
    }
  })

  test('whose new image leaves out an unchanged value has the old one, if that is known', () => {
    expect(reach(rows(['body'], ['x']), update({ at: '1', body: 'x' }, { at: '2' }))).toBe('exact')
    expect(reach(rows(['body'], ['y']), update({ id: '1', body: 'x' }, { id: '1' }))).toBe('none')
    expect(reach(rows(['body'], ['y']), update({ at: '1' }, { at: '2' }))).toBe('coarse')
  })

  test('unknown is not NULL', () => {
    expect(reach(rows(['author'], [null]), insert({ author: null }))).toBe('exact')
    expect(reach(rows(['author'], [null]), insert({ author: '' }))).toBe('none')
    expect(reach(rows(['author'], [null], 'members'), remove({ id: '1' }))).toBe('none')
  })

  test('of which no column that is read changed reaches nothing, unless it came or went', () => {
    const reading = (over: Partial<RowsDependency>): Dependency => ({
      ...{ kind: 'rows', table: 'public.posts', columns: ['author'], values: ['7'], old: 'coarse' },
      ...over,
    })
    const all = { id: '1', author: '7', title: 'a', views: '1' }
    const viewed = update(all, { ...all, views: '2' })
    expect(reach(reading({ reads: ['id', 'title'] }), viewed)).toBe('unchanged')
    expect(reach(reading({ reads: ['id', 'views'] }), viewed)).toBe('exact')
    expect(reach(reading({}), viewed)).toBe('exact')
    expect(reach(reading({ reads: [] }), insert(all))).toBe('exact')
    expect(reach(reading({ reads: [] }), update(all, { ...all, author: '8' }))).toBe('exact')
    expect(reach({ kind: 'table', table: 'public.posts', reads: ['title'] }, viewed)).toBe('unchanged')
    // What the log leaves out of the new row did not change; an old value that it does not carry may have.
    expect(reach(reading({ reads: ['body'] }), update({ author: '7' }, { author: '7' }))).toBe('unchanged')
    expect(reach(reading({ reads: ['title'] }), update({ author: '7' }, { author: '7', title: 'a' }))).toBe('exact')
    expect(reach(reading({ reads: ['title'] }), update({ id: '1' }, all))).toBe('exact')
  })

  test('is in a range and in lists as PostgreSQL says; NULL is in none', () => {
    const ranged = (range: Range, also?: readonly Condition[]): Dependency => ({
      ...{ kind: 'rows', table: 'public.posts', columns: [], values: [], range, old: 'members' },
      ...(also && { also }),
    })
    const upTo = (isIncluded: boolean) => ranged({ column: 'n', order: 'number', to: { value: '10', isIncluded } })
    expect(reach(upTo(true), insert({ n: '10' }))).toBe('exact')
    expect(reach(upTo(false), insert({ n: '10.0' }))).toBe('none')
    expect(reach(upTo(false), insert({ n: '9' }))).toBe('exact')
    expect(reach(upTo(true), insert({ n: null }))).toBe('none')
    const listed = ranged({ column: 'n', order: 'number' }, [
      { is: 'not-in', column: 's', order: 'text', values: ['x'] },
    ])
    expect(reach(listed, insert({ n: '1', s: 'y' }))).toBe('exact')
    expect(reach(listed, insert({ n: '1', s: 'x' }))).toBe('none')
    expect(reach(listed, insert({ n: '1', s: null }))).toBe('none')
    // What fails decides, whatever is unknown.
    expect(reach(listed, insert({ s: 'x' }))).toBe('none')
    expect(reach(listed, insert({ s: 'y' }))).toBe('coarse')
  })

  test('that folds to the same text may have come or gone all the same', () => {
    const folded: Dependency = {
      ...{ kind: 'rows', table: 'public.posts', columns: ['email'], values: ['a'], orders: ['folded'], old: 'coarse' },
      reads: ['id'],
    }
    expect(reach(folded, update({ id: '1', email: 'A' }, { id: '1', email: 'A' }))).toBe('unchanged')
    expect(reach(folded, update({ id: '1', email: 'A' }, { id: '1', email: 'a' }))).toBe('exact')
    const other: Dependency = {
      ...{ kind: 'rows', table: 'public.posts', columns: [], values: [], old: 'coarse' },
      also: [{ is: 'not-in', column: 'email', order: 'folded', values: ['a'] }],
    }
    expect(reach(other, insert({ email: 'A' }))).toBe('coarse')
  })

  test('a column that was added is read only by what reads all', () => {
    const added = { kind: 'table', table: 'public.posts', reason: 'columns-added' } as const
    expect(reach(rows(['id'], ['1']), added)).toBe('exact')
    expect(reach({ kind: 'table', table: 'public.posts', reads: [] }, added)).toBe('none')
  })

  test('a column called like something that every object has is not in every image', () => {
    expect(reach(rows(['constructor'], ['x'], 'coarse'), remove({ id: '1' }))).toBe('coarse')
  })
})

test('everything reaches what came from the source, and leaves tags and keys', () => {
  const everything = { kind: 'everything', reason: 'test' } as const
  expect(reach(rows(['id'], ['1']), everything)).toBe('exact')
  expect(reach({ kind: 'table', table: 'x' }, everything)).toBe('exact')
  expect(reach({ kind: 'tag', tenant: 't', tag: 'x' }, everything)).toBe('none')
})

test('a target reaches its tenant only', () => {
  const target = { kind: 'target', targets: [{ kind: 'tag', tenant: 't', tag: 'x' }], mode: 'drop' } as const
  expect(reach({ kind: 'tag', tenant: 't', tag: 'x' }, target)).toBe('exact')
  expect(reach({ kind: 'tag', tenant: 'u', tag: 'x' }, target)).toBe('none')
  expect(reach({ kind: 'key', tenant: 't', key: 'x' }, target)).toBe('none')
})

test('where no value is allowed nothing touches, whatever is unknown', () => {
  const none: Dependency = {
    kind: 'rows',
    table: 'public.posts',
    columns: [],
    values: [],
    also: [{ is: 'in', column: 'author_id', order: 'text', values: [] }],
    old: 'coarse',
  }
  const base = { kind: 'row', table: 'public.posts' } as const
  for (const image of [{ id: '1' }, { id: '1', author_id: null }, { id: '1', author_id: '1' }]) {
    expect(reach(none, { ...base, op: 'insert', old: null, new: image })).toBe('none')
    expect(reach(none, { ...base, op: 'update', old: { id: '1' }, new: image })).toBe('none')
    expect(reach(none, { ...base, op: 'delete', old: image, new: null })).toBe('none')
  }
})
