import { z } from 'zod'
import { WITHOUT_NUL } from '../without-nul.js'
import { accessSchema, hosts, limitsSchema, origins, tls } from './access-schema.js'
import { duration, optionalText, redisAddress, redisName, url, whole } from './forms.js'

const RESOURCE_NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,62}$/
const PARAMETER_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/

/** The file's document, before resources are understood. Messages say what is expected; the loader adds where. */
export const documentSchema = z
  .strictObject(
    {
      profile: z.enum(['development', 'production'], 'must be development or production').optional(),
      source: z
        .strictObject({
          url: url().optional(),
          directUrl: url().optional(),
          publication: z
            .string()
            .regex(/^[a-z_][a-z0-9_]{0,62}$/, 'must be a name of lower-case letters, digits and _')
            .optional(),
          slot: optionalText(/^[a-z0-9_]{1,63}$/, 'must be a name of 1 to 63 lower-case letters, digits and _'),
          slotKeepMax: whole(16 * 2 ** 20).optional(),
          ackHold: duration().optional(),
          ackHoldMax: whole(0).optional(),
          connections: whole(1, 1_000).optional(),
          follow: z.enum(['auto', 'off'], 'must be auto or off').default('auto'),
        })
        .prefault({}),
      cache: z
        .strictObject({
          maxEntries: whole(1).optional(),
          maxBytes: whole(1_024).optional(),
          maxSilence: duration().optional(),
          waitMax: duration().optional(),
        })
        .prefault({}),
      l2: z
        .strictObject({
          redis: redisAddress(),
          name: redisName(),
        })
        .prefault({}),
      relay: z
        .strictObject({
          redis: redisAddress(),
          stream: redisName(),
          secret: optionalText(
            /^.{16,}$/s,
            'must have at least 16 characters: whoever knows it can write what is believed',
          ),
          role: z.enum(['auto', 'leader', 'follower'], 'must be auto, leader or follower').default('auto'),
        })
        .prefault({}),
      journal: z
        .strictObject({
          enabled: z.boolean('must be true or false').optional(),
          required: z.boolean('must be true or false').default(false),
          url: url().optional(),
          heads: z.string('must be the path of a folder').min(1).optional(),
          retention: duration(31 * 86_400_000).optional(),
        })
        .prefault({}),
      invalidation: z
        .strictObject({
          requestsMax: whole(1, 1_000_000).default(10_000),
          requestsKeep: duration(1_000).default('10m'),
          appliedMax: duration(100).default('10s'),
          acksMax: duration(10, 60_000).default('2s'),
        })
        .prefault({}),
      cluster: z.strictObject({ heartbeat: duration(100, 60_000).default('2s') }).prefault({}),
      trees: z
        .strictObject({
          enabled: z.union([z.boolean(), z.literal('auto')], 'must be true, false or auto').default('auto'),
          shortForms: z.boolean('must be true or false').default(true),
          ownTables: z
            .array(z.string('must be the name of a tenant'))
            .max(1_000, 'names 1,000 tenants at most')
            .default([]),
          limits: z
            .strictObject({
              pathBytesMax: whole(1, 2_000).optional(),
              depthMax: whole(1, 500).optional(),
              editNodesMax: whole(1, 1_000_000).optional(),
              documentBytesMax: whole(1, 256 * 2 ** 20).optional(),
              referencesMax: whole(1, 100).optional(),
              referredCharactersMax: whole(1, 256 * 2 ** 20).optional(),
              searchMaxMs: whole(1, 60_000).optional(),
              schemaMaxMs: whole(1, 60_000).optional(),
              transactionMaxMs: whole(1, 3_600_000).optional(),
            })
            .prefault({}),
        })
        .prefault({}),
      socketio: z
        .strictObject({
          enabled: z.boolean('must be true or false').default(true),
          subscriptions: whole(1, 100_000).default(200),
          messages: whole(1, 100_000).default(250),
          messageBytes: whole(1_024, 2 ** 24).default(65_536),
          nodes: whole(1, 1_000_000).default(10_000),
        })
        .prefault({}),
      resources: z
        .record(z.string(), z.looseObject({}, 'must be a mapping with `params` and `sql`'))
        .optional()
        .transform((all) => all ?? {}),
      access: accessSchema(),
      limits: limitsSchema(),
      server: z
        .strictObject({
          port: whole(0, 65_535).optional(),
          host: z
            .string('must be an address to listen on, e.g. 127.0.0.1')
            .regex(/^[\w.:-]{1,253}$/, 'must be an address to listen on, e.g. 127.0.0.1 or 0.0.0.0')
            .default('127.0.0.1'),
          tls: tls(),
          hosts: hosts(),
          origins: origins(),
          address: optionalText(
            /^https?:\/\/[^/?#@]+$/,
            'must be an address without a path, e.g. http://127.0.0.1:8080: where clients reach the proxy before it',
          ),
          heartbeat: duration(100).default('15s'),
          streams: whole(1).default(10_000),
          streamsPerAddress: whole(1).default(5_000),
          streamBuffer: whole(1_024).default(262_144),
          stuck: duration(100).default('30s'),
          receive: duration(100).default('30s'),
          drain: duration().default('5s'),
        })
        .prefault({}),
    },
    'must be a mapping with `resources`, and optionally `profile`, `source`, `cache`, `l2`, `relay`, `cluster`, `journal`, `invalidation`, `access`, `limits`, `trees`, `socketio` and `server`',
  )
  .superRefine(({ journal }, context) => {
    if (!journal.required || journal.enabled !== false) return
    context.addIssue({ code: 'custom', path: ['journal', 'required'], message: 'journal.enabled is false beside it' })
  })
  .superRefine(({ source, relay }, context) => {
    if (relay.redis === undefined || source.slot !== undefined) return
    const message = 'needs source.slot: whoever holds the shared slot reads the log for the others'
    context.addIssue({ code: 'custom', path: ['relay', 'redis'], message })
  })

export type Document = z.output<typeof documentSchema>

/** What a resource asks for, and with which parameters. */
export const querySchema = z.object({
  sql: z
    .string('must be SQL, as text')
    .trim()
    .min(1, 'must not be empty')
    .refine(...WITHOUT_NUL),
  params: z
    .record(
      z.string(),
      z.union([parameterType(), z.strictObject({ type: parameterType(), default: parameterDefault().optional() })]),
    )
    .nullish()
    .transform((params) => params ?? {}),
})

/** All that a resource says. */
export const resourceSchema = z.strictObject({
  ...querySchema.shape,
  ttl: duration().optional(),
  grace: duration().optional(),
  one: z.boolean('must be true or false').default(false),
})

/** Whether a name can stand in a URL and as a key's first part. */
export function isResourceName(name: string): boolean {
  return RESOURCE_NAME.test(name)
}

export function isParameterName(name: string): boolean {
  return PARAMETER_NAME.test(name)
}

function parameterType() {
  return z.string('must be a type, e.g. bigint, or { type: bigint, default: 1 }')
}

function parameterDefault() {
  return z
    .union([z.string(), z.number(), z.boolean(), z.null()], 'must be one value')
    .transform((value) => (value === null ? null : String(value)))
}
