import { z } from 'zod'

/** What processes call to each other: who has applied a position, and what that did there. */
export type ClusterCall = z.output<typeof callSchema>

const TEXT_MAX = 2_048
const id = z.string().min(1).max(64)

const callSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ask'), ask: id, from: id, position: z.string().max(200) }),
  z.object({
    kind: z.literal('applied'),
    ask: id,
    from: id,
    /** Entries that went from its memory; null where it does not know any more. */
    removed: z.int().min(0).nullable(),
  }),
])

export function encodeCall(call: ClusterCall): string {
  return JSON.stringify(call)
}

/** Reads what `encodeCall` wrote; undefined for anything else. Never throws. */
export function decodeCall(text: string): ClusterCall | undefined {
  if (text.length > TEXT_MAX) return undefined
  try {
    return callSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
