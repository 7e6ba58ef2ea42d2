import type { Path } from '@tidemark/trees'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'

const name = (example: string) => z.string().meta({ examples: [example] })

export const configParams = z.object({ tenant: name('T1'), config: name('C1') })

/** What follows the config in a URL is the node's path, without its first slash. */
export const nodeParams = configParams.extend({ '*': z.string().meta({ examples: ['theme'] }) })

/** The node that a URL names: the root, or a JSON Pointer whose escapes (`~0`, `~1`) are in it as they are. */
export function pathOf(request: FastifyRequest): Path {
  const { '*': path } = request.params as { readonly '*'?: string }
  return path === undefined ? '' : `/${path}`
}

/** Wherever a node is named in a query: a JSON Pointer, empty for the root. Whether it is one, trees say. */
export const pathSchema = z.string().max(8_000)
