import { createHash } from 'node:crypto'
import type { Edited, EditOptions, Path, Tree } from '@tidemark/trees'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { ParameterError } from '../errors.js'
import { byOf } from './actor.js'
import { leaving } from './leaving.js'
import { causeSchema, flagSchema, repeated } from './named.js'
import { pathSchema } from './tree-path.js'

/** Nodes that one edit declares to go along. */
const DEPENDENCIES_MAX = 1_000

/** What every edit may say in its query. */
export const editQuery = z.strictObject({
  dryRun: flagSchema.describe('Change nothing; say what would change, and which entries of this process would go'),
  cause: causeSchema.optional(),
  dependency: repeated(pathSchema, DEPENDENCIES_MAX).describe(
    'Once or several times: nodes that are invalidated with this one, from now on',
  ),
})

export const editHeaders = z.looseObject({
  'if-match': z
    .string()
    .optional()
    .describe('Only if the node is still what it was: its ETag, or its version in quotes'),
  'if-none-match': z.string().optional().describe('`*`: only if the config does not have the node itself'),
})

export const editedSchema = z.object({
  success: z.literal(true),
  dry_run: z.boolean(),
  version: z.int().describe('Of the config, after the edit'),
  position: z.string().optional().describe('A read that carries it shows the edit'),
  changes: z
    .array(z.object({ path: z.string(), change: z.enum(['added', 'changed', 'removed']) }))
    .describe('The nodes that are different'),
  touched: z
    .object({ count: z.int(), keys: z.array(z.string()) })
    .optional()
    .describe(
      "Of a dry run: entries of this process's memory that would go, of this tenant; `keys` has the first ones",
    ),
})

/** What an edit is to keep to, and who asks for it. @throws ParameterError */
export async function editOptionsOf(request: FastifyRequest, tree: Tree, path: Path): Promise<EditOptions> {
  const { dryRun, cause, dependency = [] } = request.query as Partial<z.infer<typeof editQuery>>
  return {
    by: { ...byOf(request, { cause }), requestId: request.id },
    ...(await preconditionOf(request, tree, path)),
    ...(dryRun === undefined ? {} : { dryRun }),
    ...(dependency.length > 0 ? { dependencies: dependency } : {}),
  }
}

/** Answers once this process shows the edit, with what the node is now as the ETag: a read after it needs no position here. */
export async function sendEdited(
  reply: FastifyReply,
  tree: Tree,
  path: Path,
  edited: Edited,
): Promise<z.infer<typeof editedSchema>> {
  const { version, position, changes, touched } = edited
  reply.header('cache-control', 'no-store')
  if (position !== undefined) {
    reply.header('tidemark-position', position)
    const now = tree.node(path).ask({ minPosition: position, signal: leaving(reply) })
    // It is done, whether it can be shown by now or not.
    const view = await now.then(
      ({ value }) => value,
      () => null,
    )
    if (view) reply.headers({ etag: etagOf(view), 'tidemark-version': view.version })
  }
  return {
    success: true,
    dry_run: position === undefined,
    version,
    ...(position === undefined ? {} : { position }),
    changes: [...changes],
    ...(touched === undefined ? {} : { touched: { count: touched.count, keys: [...touched.keys] } }),
  }
}

/** Of a node as readers see it: its version and a hash, and what distinguishes this form of it from others. */
export function etagOf({ version, hash }: { readonly version: number; readonly hash: string }, form = ''): string {
  return `"${version}.${hash}${form}"`
}

/** Of what has no version of its own. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 16)
}

async function preconditionOf(
  { headers }: FastifyRequest,
  tree: Tree,
  path: Path,
): Promise<Pick<EditOptions, 'ifVersion' | 'ifHash'>> {
  const { 'if-match': match, 'if-none-match': noneMatch } = headers
  if (noneMatch !== undefined) {
    if (noneMatch.trim() !== '*' || match !== undefined)
      throw new ParameterError([{ parameter: 'If-None-Match', message: 'can only be * of an edit, without If-Match' }])
    return { ifVersion: 0 }
  }
  if (match === undefined) return {}
  const [, version, hash] = /^\s*"(\d{1,15})(?:\.([\w-]{16})(?:\.[\w.-]*)?)?"\s*$/.exec(match) ?? []
  if (version !== undefined) return { ifVersion: Number(version), ...(hash === undefined ? {} : { ifHash: hash }) }
  const { value } = await tree.node(path).ask()
  // Of no version that there is.
  return { ifHash: match.trim() === '*' && value ? value.hash : '' }
}
