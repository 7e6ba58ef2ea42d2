import { patchBetween } from '@tidemark/trees'
import type { Representation } from '../resources/representation.js'

/** The patch that was asked for last: all who had the same state get the same one. */
let latest:
  | { readonly from: Representation; readonly to: Representation; readonly patch: string | undefined }
  | undefined

/** What leads from one value of a node to another, as a JSON Patch's text; undefined where that is longer than the value. */
export function patchOf(from: Representation, to: Representation): string | undefined {
  if (from.event !== undefined || to.event !== undefined) return undefined
  if (latest?.from !== from || latest.to !== to) {
    const patch = patchBetween(from.body, to.body)
    latest = { from, to, patch: patch === undefined || patch.length > to.body.length ? undefined : patch }
  }
  return latest.patch
}
