import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Server as HttpsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import swagger from '@fastify/swagger'
import type { Calls } from '@tidemark/redis'
import type { Trees } from '@tidemark/trees'
import fastify, { type FastifyError, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { type Cache, type Clock, OptionError, parsePosition, systemClock } from 'tidemark'
import { checkAccess, requireActions } from './access/authorise.js'
import { identities } from './access/identities.js'
import { limitRates } from './access/limits.js'
import { describeAccess, SECURITY_SCHEMES } from './access/openapi.js'
import { Provider } from './access/provider.js'
import { SignIn } from './access/sign-in.js'
import type { TokenDatabase } from './access/token-database.js'
import { Acknowledging } from './cluster/acknowledgements.js'
import { Cluster } from './cluster/cluster.js'
import { stateOf } from './cluster/joining.js'
import { termsOf } from './cluster/terms.js'
import type { Config } from './config/config.js'
import { RequestError } from './errors.js'
import { Invalidator } from './invalidation/invalidator.js'
import { SharedMemory } from './invalidation/shared-memory.js'
import type { NoJournal } from './journal-start.js'
import { Activity } from './live/activity.js'
import { Connections } from './live/connections.js'
import { followedOf } from './live/followed.js'
import { Hubs } from './live/hubs.js'
import { Quota } from './live/quota.js'
import { Sockets } from './live/sockets.js'
import { Resources } from './resources/resources.js'
import type { ResourceContext, ResourceSource } from './resources/source.js'
import { describeHeaders } from './routes/answer-headers.js'
import { cacheRoutes } from './routes/cache.js'
import { cacheListRoutes } from './routes/cache-lists.js'
import { cacheMetricsRoute } from './routes/cache-metrics.js'
import { clusterRoute } from './routes/cluster.js'
import { answerError, answerErrors, connectAnswer, malformedAnswer } from './routes/errors.js'
import { explainRoutes } from './routes/explain.js'
import { guard } from './routes/guard.js'
import { healthRoutes } from './routes/health.js'
import { Hits } from './routes/hits.js'
import { invalidateRoutes } from './routes/invalidate.js'
import { journalRoutes } from './routes/journal.js'
import { readJsonBodies } from './routes/json-body.js'
import { LOG_SERIALIZERS } from './routes/log-serializers.js'
import { metricsRoute } from './routes/metrics.js'
import { resourceRoutes } from './routes/resources.js'
import { sessionRoutes } from './routes/sessions.js'
import { shortFormRoutes } from './routes/short-forms.js'
import { signInRoutes } from './routes/sign-in.js'
import { socketRoute } from './routes/sockets.js'
import { staticRoutes } from './routes/static.js'
import { streamRoutes } from './routes/streams.js'
import { tokenRoutes } from './routes/tokens.js'
import { keepBodiesAsText } from './routes/tree-documents.js'
import { treeHeadRoutes } from './routes/tree-heads.js'
import { treeHistoryRoutes } from './routes/tree-history.js'
import { treeListRoutes } from './routes/tree-lists.js'
import { treeLiveRoute } from './routes/tree-live.js'
import { treeShortForms } from './routes/tree-short-forms.js'
import { treeRoutes } from './routes/trees.js'
import { ValueBodies } from './routes/value-bodies.js'
import { followPair, type Pair, readPair } from './tls.js'

export interface AppOptions {
  readonly config: Config
  readonly cache: Cache<ResourceContext>
  /** The same that the cache has. */
  readonly source: ResourceSource
  /** The tokens and sessions, where the configuration asks for them. */
  readonly tokens?: TokenDatabase | undefined
  /** The processes that this one has joined. Default: it is alone. */
  readonly cluster?: Cluster | undefined
  /** How it reaches them; closed with the app. */
  readonly calls?: Calls | undefined
  /** Config trees of that source, where they are served. */
  readonly trees?: Trees | undefined
  /** For health and the log. */
  readonly whyNoJournal?: NoJournal | undefined
  /** An application's own routes, behind the same checks of Host and Origin. */
  readonly routes?: ((app: FastifyInstance) => void | Promise<void>) | undefined
  /** A folder whose files are served at `/`. */
  readonly static?: string | URL | undefined
  readonly logLevel?: 'silent' | 'error' | 'warn' | 'info' | 'debug' | undefined
  readonly clock?: Clock
}

/** Where people see who they are: `/auth/`. */
const ACCOUNT_PAGE = new URL('../page/', import.meta.url)
const BODY_MAX_BYTES = 2 ** 20
/** A key in a path: 1,024 bytes, each of which may be written as `%XX`. */
const KEY_LENGTH_MAX = 3 * 1_024
const HEADERS_MAX_BYTES = 16_384
const CHECKING_MAX_MS = 5_000

/**
 * Builds the server, without listening. `close()` tells streams to come back, answers what is in flight, and leaves cache
 * and source open: they are the caller's.
 *
 * @throws ConfigError (`TIDEMARK_CONFIG`) if the database refuses the SQL of a resource
 */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { config, cache, source, clock = systemClock } = options
  const { oidc, outageMaxMs } = config.access
  const sessions = oidc && (options.tokens?.sessions ?? lacking())
  const signIn =
    oidc && sessions
      ? new SignIn({ ...oidc, provider: new Provider(oidc, clock), sessions, outageMaxMs, ...config.server, clock })
      : undefined
  const who = identities(config.access, options.tokens?.find, signIn, clock)
  const { tls } = config.server
  const pair = tls && readPair(tls)
  const app = createFastify(options.logLevel ?? 'warn', config.server.receiveMaxMs, pair)
  let isDraining = false
  const cluster = options.cluster ?? (await alone(config, cache, clock))
  const resources = new Resources(config, cache, source, clock)
  await resources.start()

  const quota = new Quota({
    ...config.server,
    // Where nobody is asked who they are, there is one tenant's worth of people: this machine's.
    streamsPerTenantMax: who.areNeeded ? config.limits.streamsPerTenant : Number.POSITIVE_INFINITY,
    streamsOfTenantMax: (tenant) => (who.areNeeded ? config.limits.tenants.get(tenant)?.streams : undefined),
  })
  const connectionLimits = { ...config.server, bufferMaxBytes: config.server.streamBufferMaxBytes }
  const connections = new Connections(connectionLimits, quota, clock, who.watch)
  const hubs = new Hubs({
    clock,
    retryMs: () => connections.retryMs(),
    epoch: () => epochOf(cache),
    latest: (signal) => cache.position({ signal, latest: true }),
  })
  const hasL2 = config.l2.redis !== undefined
  const { requestsKeepMs, appliedMaxMs, acksMaxMs: waitMaxMs } = config.invalidation
  const acknowledging = new Acknowledging({ cluster, calls: options.calls, cache, clock, waitMaxMs })
  const requests = source.journal?.requests({ keepMs: requestsKeepMs, runMaxMs: 2 * appliedMaxMs })
  const shared = requests && new SharedMemory(requests, clock, appliedMaxMs)
  const { journal } = source
  const invalidator = new Invalidator({
    ...{ cache, clock, hasL2, cluster, acknowledging, shared, journal },
    ...config.invalidation,
  })
  app.addHook('preClose', async () => {
    isDraining = true
    resources.close()
    connections.drain()
    who.close()
    await sockets?.drain()
  })
  app.addHook('onClose', async () => acknowledging.close())
  app.addHook('onClose', () => invalidator.close())

  logNotices(app, cache)
  if (options.whyNoJournal) {
    const { reason, isTried } = options.whyNoJournal
    app.log[isTried ? 'warn' : 'info']({ code: 'TIDEMARK_JOURNAL' }, reason)
  }
  if (tls && pair) {
    const leave = followPair(app.server as unknown as HttpsServer, tls, pair, { clock, log: app.log })
    app.addHook('onClose', () => leave())
  }
  guard(app, { ...config.server, isDraining: () => isDraining, isKnownWho: who.areNeeded })
  checkAccess(app, who.identify)
  const limits = who.areNeeded ? limitRates(app, config.limits, cache, clock) : undefined
  const sources = { trees: options.trees, resources: resources.all, nodesMax: config.socketio.nodesMax }
  const sockets = config.socketio.enabled
    ? new Sockets({
        ...connectionLimits,
        limits: config.socketio,
        hubs,
        quota,
        follow: (wanted) => followedOf(wanted, sources),
        takeOne: limits?.takeOne,
        who,
        clock,
        retryMs: () => connections.retryMs(),
        onFailure: (err) => app.log.error({ err }, 'A message of a socket could not be handled'),
      })
    : undefined
  const live = { quota, connections, hubs, activity: new Activity(cache, clock), sockets }
  const bodies = new ValueBodies(new Set(config.resources.map(({ name }) => name)))
  const hits = new Hits({ cache, bodies, clock, isDraining: () => isDraining, takeOne: limits?.takeOne })
  answerErrors(app)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Tidemark',
        version: version(),
        description: 'Declared resources out of a cache that follows the database',
      },
      components: { securitySchemes: SECURITY_SCHEMES },
    },
    transform: describeHeaders(describeAccess),
  })
  const names = namesUnderApi(app)
  app.register(async (routes) => {
    requireActions(routes)
    refuseOtherMethods(routes)
    resourceRoutes(routes, resources.all)
    streamRoutes(routes, resources.all, live)
    if (sockets) socketRoute(routes, sockets)
    explainRoutes(routes, source)
    journalRoutes(routes, source.journal)
    tokenRoutes(routes, config.access.tokens ? options.tokens : undefined)
    sessionRoutes(routes, sessions, signIn)
    signInRoutes(routes, signIn)
    const cached = { cache, invalidator, bodies }
    cacheRoutes(routes, { ...cached, hits })
    cacheListRoutes(routes, cached)
    const counting = { cache, cluster, live, refused: limits?.refused }
    cacheMetricsRoute(routes, counting, invalidator)
    invalidateRoutes(routes, invalidator)
    shortFormRoutes(routes, invalidator)
    healthRoutes(routes, {
      cache,
      resources,
      journal: source.journal,
      whyNoJournal: options.whyNoJournal?.reason,
      cluster,
      isDraining: () => isDraining,
    })
    hits.answered = metricsRoute(routes, counting)
    clusterRoute(routes, cluster)
    routes.get('/api/openapi.json', { config: { action: 'describe' }, schema: { hide: true } }, () => app.swagger())
  })
  const { trees } = options
  if (trees)
    app.register(async (routes) => {
      requireActions(routes)
      refuseOtherMethods(routes)
      keepBodiesAsText(routes)
      treeRoutes(routes, trees)
      treeListRoutes(routes, trees)
      treeHistoryRoutes(routes, trees)
      treeLiveRoute(routes, trees, live)
      treeHeadRoutes(routes, trees)
      if (config.trees.shortForms) treeShortForms(routes, trees, (name) => names.has(name))
    })
  if (signIn) staticRoutes(app, ACCOUNT_PAGE, '/auth')
  if (options.static !== undefined) staticRoutes(app, options.static)
  if (options.routes) await options.routes(app)
  await app.ready()
  hits.attach(app)
  return app
}

function lacking(): never {
  throw new OptionError('access.oidc needs the database that has the sessions.')
}

function createFastify(
  logLevel: NonNullable<AppOptions['logLevel']>,
  receiveMaxMs: number,
  pair: Pair | undefined,
): FastifyInstance {
  const options = {
    logger: logLevel === 'silent' ? false : { level: logLevel, serializers: LOG_SERIALIZERS },
    bodyLimit: BODY_MAX_BYTES,
    routerOptions: { maxParamLength: KEY_LENGTH_MAX },
    forceCloseConnections: 'idle',
    return503OnClosing: false, // ours is a problem, as all errors are
    genReqId: () => randomUUID(),
    // Who sends a request drop by drop holds a connection, not for ever.
    requestTimeout: receiveMaxMs,
    frameworkErrors: (error, request, reply) => void answerError(error as FastifyError, request, reply),
    clientErrorHandler(_error, socket) {
      if (socket.writable) socket.end(malformedAnswer())
    },
  } satisfies FastifyServerOptions
  const listening = {
    headersTimeout: receiveMaxMs,
    connectionsCheckingInterval: Math.min(receiveMaxMs, CHECKING_MAX_MS),
    maxHeaderSize: HEADERS_MAX_BYTES,
    // Node would answer without a problem: the guard refuses who names no host.
    requireHostHeader: false,
  }
  // Whether it is HTTP or HTTPS, it is the same to all that follows.
  const app = pair
    ? (fastify({ ...options, https: { ...listening, ...pair, minVersion: 'TLSv1.2' } }) as unknown as FastifyInstance)
    : fastify({ ...options, http: listening })
  // An expectation that is not known is passed over (RFC 9110, 10.1.1).
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  app.server.on('connect', (_request, socket: Duplex) => {
    // Who hangs up before is no fault of the server's.
    socket.on('error', () => socket.destroy())
    socket.end(connectAnswer())
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  readJsonBodies(app)
  return app
}

/** What somebody who runs the server should know: it is rare. */
function logNotices(app: FastifyInstance, cache: Cache<ResourceContext>): void {
  const leaves = [
    cache.on('lost', ({ reason }) => app.log.warn({ code: reason.code }, reason.message)),
    cache.on('started', ({ position, emptied }) => app.log.info({ position, emptied }, 'The log was taken up')),
    cache.on('notice', ({ code, message }) => app.log.warn({ code }, message)),
  ]
  app.addHook('onClose', () => {
    for (const leave of leaves) leave()
  })
}

async function alone(config: Config, cache: Cache<ResourceContext>, clock: Clock): Promise<Cluster> {
  const cluster = await Cluster.join({ places: [], terms: termsOf(config), version: version(), clock })
  cluster.describe(() => stateOf(cache, null))
  return cluster
}

/** Of this package. */
export function version(): string {
  return (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version
}

function epochOf(cache: Cache<ResourceContext>): string | undefined {
  const { tidemark } = cache.status()
  return tidemark === undefined ? undefined : parsePosition(tidemark).epoch
}

/** The names with which paths of the API begin, also of routes to come: `cache` of `/api/cache/:key`. */
function namesUnderApi(app: FastifyInstance): ReadonlySet<string> {
  const names = new Set<string>()
  app.addHook('onRoute', ({ url }) => {
    const [, name] = /^\/api\/([^/:*]+)/.exec(url) ?? []
    if (name !== undefined) names.add(name)
  })
  return names
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** Any method that one of our paths does not have is answered 405, with what is allowed. */
function refuseOtherMethods(app: FastifyInstance): void {
  const paths = new Map<string, string[]>()
  app.addHook('onRoute', ({ url, method }) => {
    if (typeof method === 'string') paths.set(url, [...(paths.get(url) ?? []), method])
  })
  app.after(() => {
    for (const [url, methods] of paths) {
      const others = METHODS.filter((method) => !methods.includes(method))
      app.route({
        method: others,
        url,
        config: { action: 'open' },
        schema: { hide: true },
        onRequest: (_, reply, done) => {
          reply.header('allow', methods.join(', '))
          done(new RequestError('TIDEMARK_METHOD', `This path has ${methods.join(', ')} only.`))
        },
        handler: () => {},
      })
    }
  })
}
