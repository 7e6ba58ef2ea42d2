import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { TidemarkError } from 'tidemark'
import { z } from 'zod'
import { type Place, RequestedSqlError } from '../errors.js'
import type { Explanation, ResourceSource } from '../resources/source.js'
import { problemResponse } from './schemas.js'

const SQL_MAX = 100_000
/** PostgreSQL's scanner reads a run of operator characters anew for each comment that begins in it. */
const OPERATORS_MAX = 1_000
const TOO_MANY_OPERATORS = new RegExp(`[-+*/<>=~!@#%^&|\`?]{${OPERATORS_MAX + 1}}`)

const asked = z
  .strictObject({
    sql: z
      .string()
      .min(1)
      .max(SQL_MAX)
      .refine(
        (sql) => !TOO_MANY_OPERATORS.test(sql),
        `must have at most ${OPERATORS_MAX} operator characters in a row, in comments too`,
      )
      .describe('One SELECT; `$1`, `$2` … stand for parameters, whose values are not needed')
      .meta({ examples: ['select title from posts where author_id = $1'] }),
  })
  .meta({ examples: [{ sql: 'select title from posts where author_id = $1' }] })

const explanation = z.object({
  tables: z.array(
    z.object({
      table: z.string(),
      follows: z
        .enum(['rows', 'table', 'nothing'])
        .describe('Whether rows or the whole table are followed; nothing: it sends no changes'),
      places: z
        .array(
          z.object({
            line: z.string().describe('What it depends on there, and why'),
            tests: z
              .array(z.string())
              .describe(
                'Conditions that are tested on a row before and after a change, where the log has the old values',
              ),
            reads: z
              .array(z.string())
              .optional()
              .describe('The columns that are read there; missing: all, or not known'),
            updates: z
              .string()
              .optional()
              .describe('Which updates touch the answer, in a sentence; missing: it sends no changes'),
          }),
        )
        .describe('The places where it is read: several if it is joined to itself'),
      identity: z.enum(['default', 'full', 'index', 'nothing']).optional().describe('The replica identity'),
      advice: z.array(z.string()).describe('What would make it better'),
    }),
  ),
  notKept: z.array(z.string()).describe('Why answers are not kept as they are; empty if they are'),
})

/** `GET` and `POST /api/explain`: what a statement depends on, and why. It is not run. */
export function explainRoutes(app: FastifyInstance, source: ResourceSource): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const config = { action: 'readResources' } as const
  const schema = {
    summary: 'Explain what a statement depends on',
    tags: ['explain'],
    response: { 200: explanation, default: problemResponse },
  }
  typed.get('/api/explain', { config, schema: { ...schema, querystring: asked } }, async (request, reply) => {
    reply.header('cache-control', 'no-store')
    return explain(source, (request.query as z.infer<typeof asked>).sql)
  })
  typed.post('/api/explain', { config, schema: { ...schema, body: asked } }, async (request, reply) => {
    reply.header('cache-control', 'no-store')
    return explain(source, (request.body as z.infer<typeof asked>).sql)
  })
}

/** SQL that is wrong is the request's fault here; elsewhere it is the server's own. */
async function explain(source: ResourceSource, sql: string): Promise<z.infer<typeof explanation>> {
  try {
    return toAnswer(await source.explain(sql))
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error
    if (error.code !== 'TIDEMARK_SQL' && error.code !== 'TIDEMARK_SQL_WRITES') throw error
    const { sqlState, place } = error as { readonly sqlState?: string; readonly place?: Place }
    // What lacks memory or was cancelled is no fault of the SQL; what is beyond PostgreSQL's own limits (54) is.
    if (sqlState !== undefined && !/^(42|0A|22|54)/.test(sqlState)) throw error
    throw new RequestedSqlError(error.message, sqlState, place, { cause: error })
  }
}

function toAnswer({ tables, notKept }: Explanation): z.infer<typeof explanation> {
  return {
    tables: tables.map(({ places, advice, ...table }) => ({
      ...table,
      places: places.map(({ line, tests, reads, updates }) => ({
        line,
        tests: [...tests],
        ...(reads && { reads: [...reads] }),
        ...(updates && { updates }),
      })),
      advice: [...advice],
    })),
    notKept: [...notKept],
  }
}
