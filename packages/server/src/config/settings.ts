import { z } from 'zod'
import type { RelayConfig } from './config.js'
import { type Path, readYaml } from './document.js'
import { loadConfig, profileOf, readConfigFile } from './load.js'
import { databaseUrlOf, portOf, roleOf } from './overrides.js'
import { documentSchema } from './schema.js'
import type { Environment } from './variables.js'

/** One setting, as a server that is started now would have it. */
export interface Setting {
  /** As docs/config.md names it, e.g. `source.url`. */
  readonly name: string
  /** undefined: none is set, and there is no default that a configuration names. Secrets are `***`. */
  readonly value: unknown
  /** `default`, the file with its line, `environment NAME`, or `--port`. */
  readonly origin: string
}

/** What the command line says: it goes before all else. */
export interface Flags {
  readonly port?: number | undefined
  readonly data?: string | undefined
  readonly role?: RelayConfig['role'] | undefined
}

const MASKED = '***'
const SECRETS = new Set(['relay.secret', 'access.oidc.clientSecret'])
/** Of an address. */
const SECRET_PARAMETER = /pass|secret|token|key|auth|sig/i

/** What a setting that nobody sets comes to, where not the schema says so: as docs/config.md has it. */
const UNSET: Readonly<Record<string, unknown>> = {
  'source.directUrl': 'source.url',
  'source.publication': 'tidemark',
  'source.slotKeepMax': 4_294_967_296,
  'source.ackHold': '10s',
  'source.ackHoldMax': 268_435_456,
  'source.connections': 10,
  'cache.maxEntries': 100_000,
  'cache.maxBytes': 268_435_456,
  'cache.maxSilence': '5s',
  'cache.waitMax': '1s',
  'l2.name': 'tidemark',
  'relay.stream': 'tidemark:relay',
  'journal.enabled': 'kept where there is a slot',
  'journal.url': 'the one that is followed',
  'journal.heads': 'journal in the data folder',
  'journal.retention': '400d',
  'trees.limits.pathBytesMax': 1_024,
  'trees.limits.depthMax': 64,
  'trees.limits.editNodesMax': 20_000,
  'trees.limits.documentBytesMax': 8_388_608,
  'trees.limits.referencesMax': 16,
  'trees.limits.referredCharactersMax': 8_388_608,
  'trees.limits.searchMaxMs': 2_000,
  'trees.limits.schemaMaxMs': 2_000,
  'trees.limits.transactionMaxMs': 30_000,
  'server.port': '9400, or the next free one',
}

/**
 * Every setting of a configuration, with where it comes from. Secrets are masked.
 *
 * @throws ConfigError (`TIDEMARK_CONFIG`), OptionError (`TIDEMARK_OPTION`), as the server would
 */
export function settingsOf(file: string, environment: Environment, flags: Flags = {}): Setting[] {
  const { resources, relay } = loadConfig(file, environment)
  roleOf(relay, flags.role)
  const yaml = readYaml(readConfigFile(file), environment)
  const document = documentSchema.parse(yaml.value ?? {})
  const settings = SETTINGS.map((path): Setting => {
    const name = path.join('.')
    const value = masked(name, valueAt(document, path))
    if (!yaml.has(path)) return { name, value: value ?? UNSET[name], origin: 'default' }
    const variables = yaml.variablesAt(path).map((variable) => `, ${sourceOf(variable, environment)}`)
    return { name, value, origin: `${file}:${yaml.valueAt(path).line}${variables.join('')}` }
  })
  const overridden = settings.map((setting) => overriddenBy(setting, environment, flags))
  const profile = profileOf(document, environment)
  return [
    ...overridden.map((setting) => (setting.name === 'profile' ? profiled(setting, profile, environment) : setting)),
    dataFolder(environment, flags),
    ...resources.map(({ name, locate }) => ({
      name: `resources.${name}`,
      value: 'declared',
      origin: `${file}:${locate().line}`,
    })),
  ]
}

/** What stands before the file, in the order in which `serve` looks. */
function overriddenBy(setting: Setting, environment: Environment, { port, role }: Flags): Setting {
  const { name, value } = setting
  if (name === 'server.port' && port !== undefined) return { name, value: port, origin: '--port' }
  const fromEnvironment = name === 'server.port' ? portOf(environment) : undefined
  if (fromEnvironment !== undefined) return { name, value: fromEnvironment, origin: 'environment TIDEMARK_PORT' }
  if (name === 'relay.role' && role !== undefined) return { name, value: role, origin: '--role' }
  if (name !== 'source.url' || value) return setting
  const url = databaseUrlOf(environment)
  if (url === undefined) return { name, value: 'a private PostgreSQL in the data folder', origin: 'default' }
  return { name, value: masked(name, url), origin: sourceOf('DATABASE_URL', environment) }
}

function profiled(setting: Setting, profile: string, environment: Environment): Setting {
  const isOfNode = setting.value === undefined && environment['NODE_ENV'] === 'production'
  return { ...setting, value: profile, origin: isOfNode ? 'environment NODE_ENV' : setting.origin }
}

function dataFolder(environment: Environment, { data }: Flags): Setting {
  const name = 'data folder'
  if (data !== undefined) return { name, value: data, origin: '--data' }
  const { TIDEMARK_DATA: named } = environment
  return named
    ? { name, value: named, origin: 'environment TIDEMARK_DATA' }
    : { name, value: '.tidemark', origin: 'default' }
}

/** A variable, or the file that stands for it. */
function sourceOf(variable: string, environment: Environment): string {
  return environment[variable]
    ? `environment ${variable}`
    : `environment ${variable}_FILE (${environment[`${variable}_FILE`]})`
}

function masked(name: string, value: unknown): unknown {
  if (typeof value !== 'string') return value
  if (SECRETS.has(name)) return MASKED
  if (!/^[a-z]+:\/\//i.test(value)) return value
  // What is no address that can be taken apart may have its secret anywhere.
  if (!URL.canParse(value)) return value.replace(/\/\/.*@/s, `//${MASKED}@`)
  const url = new URL(value)
  if (url.password !== '') url.password = MASKED
  for (const key of [...url.searchParams.keys()]) if (SECRET_PARAMETER.test(key)) url.searchParams.set(key, MASKED)
  return url.href
}

function valueAt(document: unknown, path: Path): unknown {
  return path.reduce((value, step) => (value as Record<string, unknown> | undefined)?.[step], document)
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>
}

/** Every setting that there is, in the order of the schema. Resources are not settings. */
const SETTINGS: readonly Path[] = pathsOf(
  z.toJSONSchema(documentSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema,
  [],
)

function pathsOf({ properties }: JsonSchema, above: Path): Path[] {
  return Object.entries(properties ?? {}).flatMap(([name, schema]) => {
    const path = [...above, name]
    if (path.length === 1 && name === 'resources') return []
    return schema.properties === undefined ? [path] : pathsOf(schema, path)
  })
}
