import { Slices, systemClock, TidemarkError } from 'tidemark'
import type { Draft } from './draft.js'
import { TreePatchError, TreePathError } from './errors.js'
import { type Json, type JsonObject, printJson } from './json.js'
import type { TreeLimits } from './limits.js'
import { childOf, indexOf, isWithin, nameOf, type Path, parentOf, stepsOf } from './pointer.js'

/** An operation of JSON Patch (RFC 6902). */
export type Operation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: Path; readonly value: Json }
  | { readonly op: 'remove'; readonly path: Path }
  | { readonly op: 'move' | 'copy'; readonly from: Path; readonly path: Path }

/**
 * Reads a JSON Patch.
 *
 * @throws TreePatchError (`TIDEMARK_TREE_PATCH`) with the operation's index
 */
export function readPatch(patch: Json, limits: TreeLimits): Operation[] {
  if (patch.kind !== 'array') throw new TreePatchError('A JSON Patch is an array of operations (RFC 6902).', 0)
  return patch.items.map((item, index) => {
    try {
      return readOperation(item, index, limits)
    } catch (error) {
      if (error instanceof TreePathError)
        throw new TreePatchError(`Operation ${index}: ${error.message}`, index, { cause: error })
      throw error
    }
  })
}

function readOperation(item: Json, index: number, limits: TreeLimits): Operation {
  if (item.kind !== 'object') throw new TreePatchError(`Operation ${index} is no object.`, index)
  const op = textOf(item, 'op', index)
  const path = pathOf(item, 'path', index, limits)
  switch (op) {
    case 'remove':
      return { op, path }
    case 'move':
    case 'copy':
      return { op, from: pathOf(item, 'from', index, limits), path }
    case 'add':
    case 'replace':
    case 'test': {
      const value = item.members.get('value')
      if (!value) throw new TreePatchError(`Operation ${index} (${op}) has no "value".`, index)
      return { op, path, value }
    }
    default:
      throw new TreePatchError(
        `Operation ${index} has an "op" that is none of add, remove, replace, move, copy, test.`,
        index,
      )
  }
}

/**
 * Does the operations, one after the other.
 *
 * @throws TreePatchError (`TIDEMARK_TREE_PATCH`) for the first that cannot be done
 */
export async function applyPatch(draft: Draft, operations: readonly Operation[], root: Path = ''): Promise<void> {
  const slices = new Slices(systemClock, undefined)
  for (const [index, operation] of operations.entries()) {
    // What an operation looks at is in memory mostly, so none of them waits for anything.
    if (slices.isOver) await slices.next()
    try {
      await apply(
        draft,
        operation,
        root,
        (why) => new TreePatchError(`Operation ${index} (${operation.op}): ${why}`, index),
      )
    } catch (error) {
      if (error instanceof TreePatchError || !(error instanceof TidemarkError) || error.code === 'TIDEMARK_TREE_LIMIT')
        throw error
      throw new TreePatchError(`Operation ${index} (${operation.op}): ${error.message}`, index, { cause: error })
    }
  }
}

type Refuse = (why: string) => TreePatchError

async function apply(draft: Draft, operation: Operation, root: Path, refuse: Refuse): Promise<void> {
  const path = root + operation.path
  switch (operation.op) {
    case 'add':
      return add(draft, path, operation.value, refuse)
    case 'remove':
      await existing(draft, path, refuse)
      if (path === '') throw refuse('the root cannot be removed; delete the config, or replace the root')
      return draft.remove(path)
    case 'replace':
      await existing(draft, path, refuse)
      return draft.put(path, operation.value)
    case 'test': {
      const found = await existing(draft, path, refuse)
      if (!isEqual(found, operation.value)) throw refuse(`the node at "${path}" has another value`)
      return
    }
    case 'copy':
      return add(draft, path, await existing(draft, root + operation.from, refuse), refuse)
    default: {
      const from = root + operation.from
      const value = await existing(draft, from, refuse)
      if (from === path) return
      if (isWithin(path, from)) throw refuse('a node cannot be moved into itself')
      await draft.remove(from)
      return add(draft, path, value, refuse)
    }
  }
}

async function add(draft: Draft, path: Path, value: Json, refuse: Refuse): Promise<void> {
  const parent = parentOf(path)
  if (parent === undefined || (await draft.kind(parent)) !== 'array') return draft.put(path, value)
  const length = await draft.length(parent)
  const step = nameOf(path)
  const index = step === '-' ? length : indexOf(step)
  if (index === undefined || index > length) throw refuse(`the array at "${parent}" has no place "${step}"`)
  return draft.insert(parent, index, value)
}

async function existing(draft: Draft, path: Path, refuse: Refuse): Promise<Json> {
  const parent = parentOf(path)
  if (parent !== undefined && (await draft.kind(parent)) === 'array' && indexOf(nameOf(path)) === undefined)
    throw refuse(`there is no node at "${path}"`)
  const json = await draft.json(path)
  if (json) return json
  throw refuse(`there is no node at "${path}"`)
}

/** Does a JSON Merge Patch (RFC 7386) at a path. */
export async function applyMergePatch(draft: Draft, path: Path, patch: Json): Promise<void> {
  if (patch.kind !== 'object') return draft.put(path, patch)
  if ((await draft.kind(path)) !== 'object') return draft.put(path, withoutNulls(patch))
  for (const [name, member] of patch.members) {
    const child = childOf(path, name)
    if (member.kind === 'scalar' && member.text === 'null') {
      if ((await draft.kind(child)) !== undefined) await draft.remove(child)
    } else await applyMergePatch(draft, child, member)
  }
}

function withoutNulls(json: JsonObject): JsonObject {
  const members = [...json.members].filter(([, member]) => member.kind !== 'scalar' || member.text !== 'null')
  return {
    kind: 'object',
    members: new Map(members.map(([name, member]) => [name, member.kind === 'object' ? withoutNulls(member) : member])),
  }
}

/** As RFC 6902, 4.6 has it: members in any order, numbers by their value. */
function isEqual(a: Json, b: Json): boolean {
  if (a.kind !== b.kind) return false
  if (a.kind === 'array' && b.kind === 'array')
    return a.items.length === b.items.length && a.items.every((item, index) => isEqual(item, b.items[index]!))
  if (a.kind === 'object' && b.kind === 'object') {
    if (a.members.size !== b.members.size) return false
    return [...a.members].every(([name, member]) => {
      const other = b.members.get(name)
      return other !== undefined && isEqual(member, other)
    })
  }
  const [one, other] = [printJson(a), printJson(b)]
  return one === other || (/^[-\d]/.test(one) && /^[-\d]/.test(other) && decimal(one) === decimal(other))
}

/** A number's digits and exponent, in one form for each value. */
function decimal(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const digits = (whole + fraction).replace(/^0+/, '')
  const trimmed = digits.replace(/0+$/, '')
  if (trimmed === '') return '0'
  return `${sign}${trimmed}e${Number(exponent) - fraction.length + (digits.length - trimmed.length)}`
}

function textOf(item: JsonObject, name: string, index: number): string {
  const member = item.members.get(name)
  if (member?.kind === 'scalar' && member.text.startsWith('"')) return JSON.parse(member.text) as string
  throw new TreePatchError(`Operation ${index} has no "${name}" that is text.`, index)
}

function pathOf(item: JsonObject, name: string, index: number, limits: TreeLimits): Path {
  const path = textOf(item, name, index)
  stepsOf(path, limits)
  return path
}
