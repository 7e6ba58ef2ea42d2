import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { parsePosition } from 'tidemark'
import { z } from 'zod'
import type { Cluster, ClusterProcess } from '../cluster/cluster.js'
import { problemResponse } from './schemas.js'

const processSchema = z.object({
  id: z.string().describe('Drawn anew at each start'),
  self: z.boolean().describe('Whether it is the process that answers'),
  pid: z.int(),
  host: z.string(),
  address: z.string().nullable().describe('Where it answers; null before it listens'),
  version: z.string(),
  role: z
    .string()
    .describe('leader, standby or follower of a relay; holder of a shared slot; single: it reads the log by itself'),
  log: z.string().describe('What its log is doing; following where all is well'),
  tidemark: z.string().nullable().describe('The position up to which it has applied the log'),
  current: z.boolean().describe('Whether it may call answers fresh'),
  keeping: z.boolean(),
  silenceMs: z.number().nullable().describe('How long ago it was last known to be current; null: never'),
  lagBytes: z
    .number()
    .nullable()
    .describe('How much of the log it lacks of what the furthest process has applied; null where that cannot be said'),
  uptimeMs: z.number(),
  heardMs: z.number().describe('How long ago it said all this; 0 for the process that answers'),
})

const clusterSchema = z.object({
  shared: z
    .boolean()
    .describe('Whether processes can know of each other: they share an L2 or a relay in Redis, or follow one database'),
  problem: z.string().describe('Why not all are listed, or not all agree, and what to do; empty where all is well'),
  processes: z.array(processSchema),
})

const ALONE =
  'Only this process is listed: processes find each other where they share an L2 or a relay in Redis (l2.redis, relay.redis), or follow one database.'

/** `GET /api/cluster`: the processes that are there, as each told it last. */
export function clusterRoute(app: FastifyInstance, cluster: Cluster): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/api/cluster',
    {
      config: { action: 'observe' },
      schema: {
        summary: 'The processes that share an L2, a relay or a database: roles, tidemarks, currency, lag',
        tags: ['operation'],
        querystring: z.strictObject({}),
        response: { 200: clusterSchema, default: problemResponse },
      },
    },
    async (_, reply) => {
      const { isShared, problem, disagreement } = cluster
      const problems = [isShared ? '' : ALONE, problem, disagreement?.message ?? ''].filter((text) => text !== '')
      const processes = representationsOf(cluster.processes())
      return reply
        .header('cache-control', 'no-store')
        .send({ shared: isShared, problem: problems.join(' '), processes })
    },
  )
}

function representationsOf(all: readonly ClusterProcess[]): z.input<typeof processSchema>[] {
  const furthest = new Map<string, number>()
  for (const { tidemark } of all) {
    const place = placeOf(tidemark)
    if (place && place.lsn > (furthest.get(place.epoch) ?? -1)) furthest.set(place.epoch, place.lsn)
  }
  return all.map(({ isSelf, terms: _, everyMs: __, beat: ___, joining: ____, ...process }) => {
    const place = placeOf(process.tidemark)
    return { ...process, self: isSelf, lagBytes: place ? furthest.get(place.epoch)! - place.lsn : null }
  })
}

/** undefined for what another version may have written. */
function placeOf(tidemark: string | null): { epoch: string; lsn: number } | undefined {
  try {
    const { epoch, lsn } = parsePosition(tidemark ?? '')
    return epoch === undefined ? undefined : { epoch, lsn }
  } catch {
    return undefined
  }
}
