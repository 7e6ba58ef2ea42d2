import type { Journal } from '@tidemark/postgres'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Cache } from 'tidemark'
import { z } from 'zod'
import { accessOf } from '../access/access.js'
import type { Cluster } from '../cluster/cluster.js'
import type { Resources } from '../resources/resources.js'
import { problemResponse } from './schemas.js'

export interface HealthOptions {
  readonly cache: Cache
  readonly resources: Resources
  readonly journal?: Journal | undefined
  readonly whyNoJournal?: string | undefined
  readonly cluster: Cluster
  readonly isDraining: () => boolean
}

const healthSchema = z.object({
  live: z.boolean(),
  ready: z.boolean().describe('Whether this process should be sent requests'),
  parts: z
    .array(
      z.object({
        name: z.string(),
        state: z.string(),
        ready: z.boolean(),
        reason: z.string().describe('What it waits for or what is wrong, and what to do; empty where all is well'),
      }),
    )
    .describe('None for who is not known'),
})

type Health = z.infer<typeof healthSchema>
type Part = Health['parts'][number]

/** `GET /health`, and `/health/live` and `/health/ready` for orchestrators: 200, or 503 with why. */
export function healthRoutes(app: FastifyInstance, options: HealthOptions): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const config = { action: 'open' } as const
  const schema = {
    tags: ['operation'],
    querystring: z.strictObject({}),
    response: { 200: healthSchema, 503: healthSchema, default: problemResponse },
  }
  // Who is not known is told whether, not why: the parts name slots and tables.
  const answer = (reply: FastifyReply, health: Health, isWell: boolean) =>
    reply
      .code(isWell ? 200 : 503)
      .header('cache-control', 'no-store')
      .send(accessOf(reply.request).isAnonymous ? { ...health, parts: [] } : health)
  typed.get(
    '/health',
    { config, schema: { ...schema, summary: 'Whether the server lives and is ready, part by part' } },
    async (_, reply) => {
      const health = await healthOf(options)
      return answer(reply, health, health.ready)
    },
  )
  typed.get(
    '/health/ready',
    { config, schema: { ...schema, summary: 'Whether it should be sent requests' } },
    async (_, reply) => {
      const health = await healthOf(options)
      return answer(reply, health, health.ready)
    },
  )
  typed.get('/health/live', { config, schema: { ...schema, summary: 'Whether the process lives' } }, async (_, reply) =>
    answer(reply, { live: true, ready: false, parts: [] }, true),
  )
}

/** Answers cannot be given without the database or the resources' SQL; all else slows them down, and says so. */
async function healthOf({
  cache,
  resources,
  journal,
  whyNoJournal,
  cluster,
  isDraining,
}: HealthOptions): Promise<Health> {
  const parts = [
    serverPart(isDraining()),
    await databasePart(resources),
    resourcesPart(resources),
    logPart(cache),
    ...slotPart(cache),
    ...relayPart(cache),
    ...journalPart(journal, whyNoJournal),
    ...clusterPart(cluster),
    cachePart(cache),
  ]
  return { live: true, ready: parts.every(({ ready }) => ready), parts }
}

function serverPart(isDraining: boolean): Part {
  return isDraining
    ? { name: 'server', state: 'draining', ready: false, reason: 'The server is stopping.' }
    : { name: 'server', state: 'serving', ready: true, reason: '' }
}

async function databasePart(resources: Resources): Promise<Part> {
  const reason = await resources.whyDown()
  return { name: 'database', state: reason ? 'down' : 'up', ready: !reason, reason: reason ?? '' }
}

function resourcesPart({ all }: Resources): Part {
  const broken = all.flatMap(({ checked }) => (checked.kind === 'broken' ? [checked.problem] : []))
  const name = 'resources'
  if (broken.length > 0) {
    const reason = broken.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`).join('; ')
    return { name, state: 'broken', ready: false, reason }
  }
  const unchecked = all.filter(({ checked }) => checked.kind === 'unchecked')
  if (unchecked.length > 0)
    return { name, state: 'waiting', ready: false, reason: 'The database has not been asked about their SQL yet.' }
  return { name, state: 'ready', ready: true, reason: '' }
}

/** Without the log, answers are right and not kept: slower, so it is told, but requests may come. */
function logPart(cache: Cache): Part {
  const { state, reason } = cache.status().log
  return { name: 'log', state, ready: true, reason }
}

/** The slot that the processes share, where they do: told, as the log is followed without it too. */
function slotPart(cache: Cache): Part[] {
  const { slot } = cache.status().log
  if (!slot) return []
  const { name, isHeld, state, heldBytes, reason } = slot
  const holder = isHeld ? 'this process follows through it' : 'another process may hold it'
  const held = `${Math.round(heldBytes / 2 ** 20)} MB of WAL are kept for it`
  const isWell = reason === '' && (state === 'reserved' || state === 'extended')
  const told = isWell ? '' : `The slot ${name} is ${state} (${holder}, ${held})${reason && `: ${reason}`}.`
  return [{ name: 'slot', state: isHeld ? 'held' : 'not-held', ready: true, reason: told }]
}

/** Which part this process has in relaying the log, where one reads it for all; what is wrong slows the others down, so it is told. */
function relayPart(cache: Cache): Part[] {
  const { role, relayProblem = '' } = cache.status().log
  if (!role) return []
  const reason = relayProblem && `The other processes are told nothing, and answer from the database: ${relayProblem}`
  return [{ name: 'relay', state: role, ready: true, reason }]
}

/**
 * Whether the processes that share L2 or relay know of each other and agree. One that came later and does not agree should not be asked: it
 * was found so only now, as where they meet could not be reached when it started.
 */
function clusterPart({ mustAgree, outOfSight: problem, disagreement }: Cluster): Part[] {
  if (!mustAgree) return []
  const name = 'cluster'
  if (disagreement) return [{ name, state: 'disagrees', ready: false, reason: disagreement.message }]
  const reason = problem && `Which processes there are is not known in full: ${problem}`
  return [{ name, state: problem ? 'out-of-sight' : 'joined', ready: true, reason }]
}

/** While it can't be written nothing else waits: told, as the log is kept for it. */
function journalPart(journal: Journal | undefined, whyNot = ''): Part[] {
  if (!journal) return whyNot === '' ? [] : [{ name: 'journal', state: 'off', ready: true, reason: whyNot }]
  const { state, reason, waiting, waitsInLog } = journal.status()
  const told = reason && `${reason} ${waiting} records wait in memory${waitsInLog ? ', more in the log' : ''}.`
  return [{ name: 'journal', state, ready: true, reason: told }]
}

function cachePart(cache: Cache): Part {
  const { keeping, current, silenceMs } = cache.status()
  const name = 'cache'
  if (!current) {
    const since = Number.isFinite(silenceMs) ? `for ${Math.round(silenceMs)} ms` : 'yet'
    const reason = `Not known to be current ${since}: answers come from the database and are not called fresh.`
    return { name, state: 'not-current', ready: true, reason }
  }
  if (!keeping)
    return {
      name,
      state: 'starting',
      ready: true,
      reason: 'Answers come from the database until all before the start of the log can be seen.',
    }
  return { name, state: 'keeping', ready: true, reason: '' }
}
