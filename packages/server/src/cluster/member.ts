import { z } from 'zod'

/** What a process tells the others of itself, with each beat of its heart. */
export type Member = z.output<typeof memberSchema>

const TEXT_MAX = 16_384
const text = (most: number) => z.string().max(most)
const term = z.union([text(500), z.number(), z.null()])

/** Processes of other versions may say more, which is passed over; what is here they all say. */
const memberSchema = z.object({
  pid: z.int(),
  host: text(255),
  /** Where it answers; null before it listens. */
  address: text(500).nullable(),
  version: text(100),
  role: text(20),
  /** State of its log. */
  log: text(20),
  tidemark: text(200).nullable(),
  current: z.boolean(),
  keeping: z.boolean(),
  /** How long ago it was last known to be current; null: never. */
  silenceMs: z.number().min(0).nullable(),
  uptimeMs: z.number().min(0),
  /** So often it says all this. */
  everyMs: z.number().min(10).max(60_000),
  /** Counts how often it has. */
  beat: z.int(),
  /** It compares its configuration with the others' still. */
  joining: z.boolean(),
  /** What must be the same in all. */
  terms: z.record(text(100), term),
})

export function encodeMember(member: Member): string {
  return JSON.stringify(member)
}

/** Reads what `encodeMember` wrote, here or in another version; undefined for anything else. Never throws. */
export function decodeMember(encoded: string): Member | undefined {
  if (encoded.length > TEXT_MAX) return undefined
  try {
    return memberSchema.safeParse(JSON.parse(encoded)).data
  } catch {
    return undefined
  }
}
