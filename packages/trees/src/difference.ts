import { type Json, printJson, readJson } from './json.js'
import { childOf, type Path } from './pointer.js'

interface Change {
  readonly op: 'add' | 'replace' | 'remove'
  readonly path: Path
  readonly value?: Json
}

/**
 * A JSON Patch (RFC 6902) that makes one document of another, both JSON's text; undefined where they are the same. Numbers are the same if their
 * text is; the order of members is not told. Of arrays it keeps what both begin and end with. Cost: linear in both.
 */
export function patchBetween(from: string, to: string): string | undefined {
  const changes: Change[] = []
  compare(readJson(from), readJson(to), '', changes)
  if (changes.length === 0) return undefined
  return `[${changes.map(printed).join(',')}]`
}

function compare(from: Json, to: Json, path: Path, changes: Change[]): void {
  if (from.kind === 'object' && to.kind === 'object') {
    for (const name of from.members.keys())
      if (!to.members.has(name)) changes.push({ op: 'remove', path: childOf(path, name) })
    for (const [name, value] of to.members) {
      const before = from.members.get(name)
      if (before) compare(before, value, childOf(path, name), changes)
      else changes.push({ op: 'add', path: childOf(path, name), value })
    }
  } else if (from.kind === 'array' && to.kind === 'array') compareItems(from.items, to.items, path, changes)
  else if (from.kind !== 'scalar' || to.kind !== 'scalar' || from.text !== to.text)
    changes.push({ op: 'replace', path, value: to })
}

/** What stands between the items that both begin with and those that both end with is changed in place; the rest comes or goes. */
function compareItems(from: readonly Json[], to: readonly Json[], path: Path, changes: Change[]): void {
  const texts = [from.map(printJson), to.map(printJson)] as const
  const shorter = Math.min(from.length, to.length)
  let start = 0
  while (start < shorter && texts[0][start] === texts[1][start]) start++
  let end = 0
  while (end < shorter - start && texts[0].at(-1 - end) === texts[1].at(-1 - end)) end++
  const both = shorter - end
  for (let at = start; at < both; at++) compare(from[at]!, to[at]!, childOf(path, String(at)), changes)
  // From behind, so that the indexes before stay what they are.
  for (let at = from.length - end - 1; at >= both; at--) changes.push({ op: 'remove', path: childOf(path, String(at)) })
  for (let at = both; at < to.length - end; at++)
    changes.push({ op: 'add', path: childOf(path, String(at)), value: to[at]! })
}

function printed({ op, path, value }: Change): string {
  const told = value === undefined ? '' : `,"value":${printJson(value)}`
  return `{"op":"${op}","path":${JSON.stringify(path)}${told}}`
}
