import { z } from 'zod'

/** Any JSON that is there. */
export const jsonSchema = z.unknown().refine((value) => value !== undefined, 'is missing')

/** RFC 9457, as the API's document describes it. */
export const problemResponse = {
  description: 'What went wrong',
  content: {
    'application/problem+json': {
      schema: z.object({
        type: z.string().describe('Where the error is explained'),
        title: z.string(),
        status: z.int(),
        code: z.string().describe('Stable; programs decide by it'),
        detail: z.string().describe('What was wrong, where, and what to do'),
        requestId: z.string().optional(),
        sqlState: z.string().optional(),
        place: z.object({ line: z.int(), column: z.int(), excerpt: z.string() }).optional(),
        errors: z
          .array(
            z.union([
              z.object({ parameter: z.string(), message: z.string() }),
              z.object({ pointer: z.string().describe('A JSON Pointer'), message: z.string() }),
            ]),
          )
          .optional(),
      }),
    },
  },
}

/** Server-sent events. */
export const eventStreamResponse = {
  description: 'Server-sent events',
  content: { 'text/event-stream': { schema: z.string() } },
}
