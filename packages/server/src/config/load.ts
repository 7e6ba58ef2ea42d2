import { readFileSync } from 'node:fs'
import type { Duration } from 'tidemark'
import type { z } from 'zod'
import { definedOf } from '../defined.js'
import { ConfigError, type ConfigProblem } from '../errors.js'
import { type NumberedSql, numberParameters } from '../resources/named-parameters.js'
import { PARAMETER_TYPES, parameterTypeName } from '../resources/parameter-type.js'
import { checkExposure } from './access-schema.js'
import type { Config, ParameterConfig, ResourceConfig } from './config.js'
import { type Path, readYaml, type YamlDocument } from './document.js'
import {
  type Document,
  documentSchema,
  isParameterName,
  isResourceName,
  querySchema,
  resourceSchema,
} from './schema.js'
import { type Environment, variableOf } from './variables.js'

/**
 * Reads tidemark.yaml.
 *
 * @throws ConfigError (`TIDEMARK_CONFIG`) with every problem at once: file, line, column and the fix
 */
export function loadConfig(file: string, environment: Environment = process.env): Config {
  return parseConfig(readConfigFile(file), file, environment)
}

/** The same, of a text. `file` is for messages. */
export function parseConfig(source: string, file = 'tidemark.yaml', environment: Environment = process.env): Config {
  const yaml = readYaml(source, environment)
  const problems = [...yaml.problems]
  const parsed = yaml.value === undefined ? undefined : documentSchema.safeParse(yaml.value ?? {})
  if (parsed?.error) problems.push(...problemsOf(parsed.error, [], yaml))
  const resources = Object.entries(declared(yaml.value)).flatMap(
    ([name, value]) => resourceOf(name, value, yaml, problems) ?? [],
  )
  const profile = profileOf(parsed?.data, environment)
  if (parsed?.data) problems.push(...exposureOf(parsed.data, profile, yaml, environment))
  if (!parsed?.data || problems.length > 0) throw new ConfigError(file, inOrder(problems))
  return configOf(file, profile, parsed.data, resources)
}

/** What runs with NODE_ENV=production is in production, unless the file says otherwise. */
export function profileOf(document: Document | undefined, environment: Environment): Config['profile'] {
  return document?.profile ?? (environment['NODE_ENV'] === 'production' ? 'production' : 'development')
}

function exposureOf(
  document: Document,
  profile: Config['profile'],
  yaml: YamlDocument,
  environment: Environment,
): ConfigProblem[] {
  const found = document.source.url === undefined ? variableOf(environment, 'DATABASE_URL') : undefined
  const url = found && 'value' in found ? found.value : undefined
  const exposed = url === undefined ? document : { ...document, source: { ...document.source, url } }
  return checkExposure({ ...exposed, profile }).map(({ path, message }) => ({
    ...yaml.valueAt(path),
    path: url !== undefined && path.join('.') === 'source.url' ? 'DATABASE_URL' : path.join('.'),
    message,
  }))
}

export function readConfigFile(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    const message = missing
      ? 'there is no such file; name one with --config, or write one as docs/config.md shows'
      : 'the file cannot be read; correct its rights, or name another one with --config'
    throw new ConfigError(file, [{ line: 1, column: 1, path: '', message }], { cause })
  }
}

function configOf(
  file: string,
  profile: Config['profile'],
  { source, cache, l2, relay, cluster, journal, invalidation, access, limits, trees, socketio, server }: Document,
  resources: readonly ResourceConfig[],
): Config {
  return {
    file,
    profile,
    source: {
      url: source.url,
      directUrl: source.directUrl,
      publication: source.publication,
      slot: source.slot,
      slotKeepMax: source.slotKeepMax,
      ackHold: source.ackHold,
      ackHoldMax: source.ackHoldMax,
      connections: source.connections,
      follow: source.follow,
    },
    cache: {
      maxEntries: cache.maxEntries,
      maxBytes: cache.maxBytes,
      maxSilence: cache.maxSilence,
      waitMax: cache.waitMax,
    },
    l2: { redis: l2.redis, name: l2.name },
    relay: { redis: relay.redis, stream: relay.stream, secret: relay.secret, role: relay.role },
    journal: {
      enabled: journal.enabled,
      required: journal.required,
      url: journal.url,
      heads: journal.heads,
      retention: journal.retention,
    },
    invalidation: {
      requestsMax: invalidation.requestsMax,
      requestsKeepMs: toMs(invalidation.requestsKeep),
      appliedMaxMs: toMs(invalidation.appliedMax),
      acksMaxMs: toMs(invalidation.acksMax),
    },
    access: {
      tokens: access.tokens,
      outageMaxMs: toMs(access.outage),
      jwt: access.jwt && {
        issuer: access.jwt.issuer,
        audience: access.jwt.audience,
        jwks: access.jwt.jwks,
        algorithms: access.jwt.algorithms,
        actorClaim: access.jwt.actorClaim,
        rolesClaim: access.jwt.rolesClaim,
        tenantsClaim: access.jwt.tenantsClaim,
      },
      oidc: access.oidc && {
        issuer: access.oidc.issuer,
        clientId: access.oidc.clientId,
        clientSecret: access.oidc.clientSecret,
        scopes: access.oidc.scopes,
        actorClaim: access.oidc.actorClaim,
        rolesClaim: access.oidc.rolesClaim,
        roles: access.oidc.roles,
        tenantsClaim: access.oidc.tenantsClaim,
        tenants: access.oidc.tenants,
        sessionMs: toMs(access.oidc.session),
      },
    },
    cluster: { heartbeatMs: toMs(cluster.heartbeat) },
    limits: {
      requests: limits.requests,
      windowMs: toMs(limits.window),
      keysPerUnit: limits.keysPerUnit,
      patternsPerSecond: limits.patterns,
      streamsPerTenant: limits.streams,
      memoryShare: limits.memory,
      keysPerTenant: limits.keys,
      bytesPerTenant: limits.bytes,
      tenants: new Map(
        Object.entries(limits.tenants).map(([tenant, { keys, bytes, patterns, streams }]) => [
          tenant,
          { keys, bytes, patternsPerSecond: patterns, streams },
        ]),
      ),
    },
    trees: {
      enabled: trees.enabled,
      shortForms: trees.shortForms,
      ownTables: trees.ownTables,
      limits: definedOf(trees.limits),
    },
    socketio: {
      enabled: socketio.enabled,
      subscriptionsMax: socketio.subscriptions,
      messagesPerSecond: socketio.messages,
      messageMaxBytes: socketio.messageBytes,
      nodesMax: socketio.nodes,
    },
    resources,
    server: {
      port: server.port,
      host: server.host,
      tls: server.tls,
      hosts: server.hosts,
      origins: server.origins,
      address: server.address,
      heartbeatMs: toMs(server.heartbeat),
      streamsMax: server.streams,
      streamsPerAddressMax: server.streamsPerAddress,
      streamBufferMaxBytes: server.streamBuffer,
      stuckMaxMs: toMs(server.stuck),
      receiveMaxMs: toMs(server.receive),
      drainMaxMs: toMs(server.drain),
    },
  }
}

/** The entries under `resources`, whatever else is wrong: all problems are told at once. */
function declared(value: unknown): Record<string, unknown> {
  const resources = isRecord(value) ? value['resources'] : undefined
  return isRecord(resources) ? resources : {}
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function resourceOf(
  name: string,
  value: unknown,
  yaml: YamlDocument,
  problems: ConfigProblem[],
): ResourceConfig | undefined {
  const path = ['resources', name]
  if (!isResourceName(name)) {
    problems.push({
      ...yaml.keyAt(path),
      path: path.join('.'),
      message: 'a name has letters, digits, _ and -, begins with a letter or _, and has at most 63 characters',
    })
  }
  if (!isRecord(value)) return undefined // the document's schema has told it
  const resource = resourceSchema.safeParse(value)
  if (resource.error) problems.push(...problemsOf(resource.error, path, yaml))
  // Where only an expiry is wrong, what is wrong with the SQL is told too.
  const query = querySchema.safeParse(value)
  if (!query.success) return undefined
  const numbered = numberParameters(query.data.sql)
  const parameters = Object.entries(query.data.params).flatMap(
    ([parameter, declaration]) =>
      parameterOf(parameter, declaration, [...path, 'params', parameter], yaml, problems) ?? [],
  )
  problems.push(...sqlProblems(numbered, Object.keys(query.data.params), path, yaml))
  if (!resource.success) return undefined
  const { ttl, grace, one } = resource.data
  const locate = (offset = 0) => yaml.within([...path, 'sql'], numbered.original(offset))
  return { name, text: numbered.text, order: numbered.order, params: parameters, ttl, grace, one, locate }
}

type Declaration = z.output<typeof querySchema>['params'][string]

function parameterOf(
  name: string,
  declaration: Declaration,
  path: Path,
  yaml: YamlDocument,
  problems: ConfigProblem[],
): ParameterConfig | undefined {
  const { type: declaredType, default: fallback } =
    typeof declaration === 'string' ? { type: declaration } : declaration
  const place = yaml.valueAt(path)
  if (!isParameterName(name)) {
    problems.push({
      ...yaml.keyAt(path),
      path: path.join('.'),
      message: 'a name has letters, digits and _, begins with a letter or _, and has at most 63 characters',
    })
  }
  const type = parameterTypeName(declaredType)
  if (!type) {
    const types = Object.keys(PARAMETER_TYPES).join(', ')
    problems.push({
      ...place,
      path: path.join('.'),
      message: `there is no type ${JSON.stringify(declaredType)}; use one of ${types}`,
    })
    return undefined
  }
  const issue =
    typeof fallback === 'string' ? PARAMETER_TYPES[type].schema.safeParse(fallback).error?.issues[0] : undefined
  if (issue)
    problems.push({ ...yaml.valueAt([...path, 'default']), path: `${path.join('.')}.default`, message: issue.message })
  return { name, type, fallback, ...place }
}

/** Names in the SQL that are not declared, declared ones that the SQL does not use, and numbered parameters. */
function sqlProblems(numbered: NumberedSql, names: readonly string[], path: Path, yaml: YamlDocument): ConfigProblem[] {
  const sqlPath = [...path, 'sql']
  const undeclared = numbered.order.filter((name) => !names.includes(name))
  const unused = names.filter((name) => !numbered.found.has(name))
  return [
    ...undeclared.map((name) => ({
      ...yaml.within(sqlPath, numbered.found.get(name)!),
      path: sqlPath.join('.'),
      message: `:${name} is not declared; add it to \`params\`, or write a space behind the colon if this is an array's slice`,
    })),
    ...unused.map((name) => ({
      ...yaml.keyAt([...path, 'params', name]),
      path: [...path, 'params', name].join('.'),
      message: `the SQL does not use :${name}; use it, or leave it out`,
    })),
    ...numbered.numbered.map((at) => ({
      ...yaml.within(sqlPath, at),
      path: sqlPath.join('.'),
      message: 'parameters are written :name, not $1',
    })),
  ]
}

function problemsOf(error: z.ZodError, above: Path, yaml: YamlDocument): ConfigProblem[] {
  return error.issues.flatMap((issue) => {
    const path = [...above, ...issue.path.filter((step) => typeof step !== 'symbol')]
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        ...yaml.keyAt([...path, key]),
        path: [...path, key].join('.'),
        message: 'there is no such setting; see docs/config.md for those that there are',
      }))
    }
    return [{ ...yaml.valueAt(path), path: path.join('.'), message: issue.message }]
  })
}

function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return problems.toSorted((one, other) => one.line - other.line || one.column - other.column)
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** The schema has checked the form. */
function toMs(duration: Duration): number {
  const [, amount, unit] = /^([\d.]+)(ms|s|m|h|d)$/.exec(String(duration)) ?? []
  return unit ? Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS] : Number(duration)
}
