import type { Sql } from '@tidemark/postgres'
import type { PoolClient } from 'pg'
import { type Cache, escapeGlob } from 'tidemark'
import type { Edited, EditedBy, EditOptions, Edits } from './edit.js'
import { TreeAbsentError } from './errors.js'
import { changesBackTo, type Difference, differences, type PastEdit, readHistory, treeAt } from './history.js'
import { type Json, jsonOf, parseJson, printJson } from './json.js'
import type { TreeLimits } from './limits.js'
import {
  checkList,
  type Head,
  type ListOptions,
  type NodeInfo,
  readDeclared,
  readHead,
  readNodeList,
  readOwn,
} from './lists.js'
import { applyMergePatch, applyPatch, type Operation, readPatch } from './patch.js'
import { ancestorsOf, checkName, checkPath, type Path } from './pointer.js'
import { hitsOf, type Reading, type Readings } from './readings.js'
import { type RegisteredNode, register } from './registry.js'
import { SHARED_TENANT } from './schema.js'
import type { Place } from './stored.js'
import type { Transactions } from './transaction.js'
import { TreeNode } from './tree-node.js'
import { uncachedViews } from './uncached.js'
import type { Views } from './view.js'

/** A document: JSON's text, which keeps the order of members and every digit, or a JavaScript value. */
export type Document = { readonly json: string } | { readonly value: unknown }

/** A config of a tenant. */
export class Tree {
  readonly tenant: string
  readonly config: string
  readonly #cache: Cache<{ readonly sql: Sql }>
  readonly #views: Views
  readonly #edits: Edits
  readonly #transactions: Transactions
  readonly #limits: TreeLimits
  readonly #readings: Readings

  /** @internal  use `trees.tree()` */
  constructor(
    { tenant, config }: { readonly tenant: string; readonly config: string },
    cache: Cache<{ readonly sql: Sql }>,
    views: Views,
    edits: Edits,
    transactions: Transactions,
    limits: TreeLimits,
    readings: Readings,
  ) {
    this.#readings = readings
    this.tenant = tenant
    this.config = config
    this.#cache = cache
    this.#views = views
    this.#edits = edits
    this.#transactions = transactions
    this.#limits = limits
  }

  /**
   * A node, whether it exists or not.
   *
   * @param path  a JSON Pointer (RFC 6901); empty for the whole tree
   * @throws TreePathError (`TIDEMARK_TREE_PATH`)
   */
  node(path: Path = ''): TreeNode {
    checkPath(path, this.#limits)
    return new TreeNode({ tenant: this.tenant, config: this.config, path }, this.#cache, this.#views, this.#readings)
  }

  /** Sets the node at a path; objects above it that are missing are made. */
  async put(path: Path, document: Document, options: EditOptions = {}): Promise<Edited> {
    checkPath(path, this.#limits)
    const json = this.#read(document, path)
    return this.#edit(path, options, true, async (draft, client, base) => {
      await draft.look(path)
      for (const above of ancestorsOf(path)) {
        if ((await draft.kind(above)) !== undefined) continue
        if (base) await checkInherited(uncachedViews(client, this.#limits), { ...base, path: above })
        await draft.put(above, { kind: 'object', members: new Map() })
      }
      await draft.put(path, json)
      return undefined
    })
  }

  /** Declares which nodes are invalidated with the one at a path, from now on; nothing else changes. */
  declare(path: Path, dependencies: readonly Path[], options: Omit<EditOptions, 'dependencies'> = {}): Promise<Edited> {
    checkPath(path, this.#limits)
    return this.#edit(path, { ...options, dependencies }, false, async () => [])
  }

  /** Does a JSON Patch (RFC 6902), all of it or nothing. Its paths begin at `path`. */
  async patch(patch: Document, options: EditOptions & { readonly path?: Path } = {}): Promise<Edited> {
    const { path = '' } = options
    checkPath(path, this.#limits)
    const operations: Operation[] = readPatch(this.#read(patch, ''), this.#limits)
    return this.#edit(path, options, false, async (draft) => {
      await applyPatch(draft, operations, path)
      return undefined
    })
  }

  /** Does a JSON Merge Patch (RFC 7386) at a path. */
  async merge(path: Path, patch: Document, options: EditOptions = {}): Promise<Edited> {
    checkPath(path, this.#limits)
    const json = this.#read(patch, path)
    return this.#edit(path, options, path === '', async (draft) => {
      await applyMergePatch(draft, path, json)
      return undefined
    })
  }

  /** Takes away the node at a path, with all below it; of the root, the config. */
  async delete(path: Path, options: EditOptions = {}): Promise<Edited> {
    checkPath(path, this.#limits)
    return this.#edit(path, options, false, async (draft) => {
      if ((await draft.kind(path)) === undefined) throw new TreeAbsentError(`There is no node at "${path}".`)
      await draft.remove(path)
      return undefined
    })
  }

  /** Lets the config inherit another one of its tenant, or of the tenant `shared`: what it does not have itself is that one's. */
  async extend(
    base: { readonly tenant?: string; readonly config: string } | undefined,
    by?: EditedBy,
  ): Promise<Edited> {
    const { tenant = this.tenant, config } = base ?? { config: this.config }
    checkName('tenant', tenant)
    checkName('config', config)
    if (tenant !== this.tenant && tenant !== SHARED_TENANT)
      throw new TreeAbsentError(`There is no config "${config}" that could be the base.`)
    return this.#edits.changeHead(this.tenant, this.config, { base: base && { tenant, config } }, by)
  }

  /** Sets the JSON Schema (2020-12) that the config must keep to, with what it inherits; undefined: none. */
  async setSchema(schema: Document | undefined, by?: EditedBy): Promise<Edited> {
    const text = schema && printJson(this.#read(schema, ''))
    return this.#edits.changeHead(this.tenant, this.config, { schema: text }, by)
  }

  /** The edits that changed a node, or something below it, the newest first. */
  history({ path = '', before, limit = 50 }: HistoryOptions = {}): Promise<PastEdit[]> {
    const asked = this.#asked(path)
    return this.#reading((client) => readHistory(client, asked, { before, limit }))
  }

  /** The tree at a path as it was in a version, as JSON's text: without what it inherits; undefined where there was none. */
  at(version: number, path: Path = ''): Promise<string | undefined> {
    const asked = this.#asked(path)
    return this.#reading(async (client) => {
      const json = await treeAt(client, asked, version)
      return json && printJson(json)
    })
  }

  /** What is different between two versions, node by node. */
  diff(from: number, to: number, path: Path = ''): Promise<Difference[]> {
    const asked = this.#asked(path)
    return this.#reading((client) => differences(client, asked, from, to))
  }

  /** Brings a node, and all below it, back to what they were in a version. That is an edit like any other. */
  rollback(version: number, options: EditOptions & { readonly path?: Path } = {}): Promise<Edited> {
    const { path = '' } = options
    const asked = this.#asked(path)
    return this.#edit(path, options, true, (_, client) => changesBackTo(client, asked, version))
  }

  /** What the config is besides its nodes: its version, its base, its schema as JSON's text. */
  head(): Promise<Head & { readonly schema?: string }> {
    return this.#reading((client) => readHead(client, { tenant: this.tenant, config: this.config }))
  }

  /** The config's own nodes at a path and below it, by path. */
  nodes({ path = '', after, ...options }: ListOptions & { readonly path?: Path } = {}): Promise<NodeInfo[]> {
    const asked = this.#asked(path)
    const from = after === undefined ? {} : { after: { config: this.config, path: after } }
    return this.#reading((client) => readNodeList(client, asked, checkList({ ...options, ...from }), this.#limits))
  }

  /** How its nodes were read in this process, and how many entries of them are in its memory now. */
  async readings(): Promise<{
    readonly hits: number
    readonly misses: number
    readonly nodes: ReadonlyMap<Path, Reading>
    readonly entries: number
  }> {
    const nodes = this.#readings.of(this) ?? new Map<Path, Reading>()
    let [hits, misses] = [0, 0]
    for (const reading of nodes.values()) {
      hits += hitsOf(reading)
      misses += reading.loads
    }
    const own = escapeGlob(this.config)
    const { count } = await this.#cache.preview({ pattern: [`${own}:`, `${own}:/*`], sampleMax: 0 })
    return { hits, misses, nodes, entries: count }
  }

  /** The config's own nodes, and how the cache of this process has the view of each. */
  async registry(options: ListOptions & { readonly path?: Path } = {}): Promise<RegisteredNode[]> {
    const { tenant, config } = this
    const [nodes, declared] = [await this.nodes(options), await this.dependencies(options.path)]
    return register(this.#cache, tenant, nodes, this.#readings.of({ tenant, config }), declared)
  }

  /** What was declared to be invalidated with nodes at a path and below it. */
  dependencies(path: Path = ''): Promise<{ readonly path: Path; readonly dependent: Path }[]> {
    const asked = this.#asked(path)
    return this.#reading((client) => readDeclared(client, asked))
  }

  /** The tree at a path as the config itself has it, as JSON's text: nothing inherited, no reference followed. */
  own(path: Path = ''): Promise<string | undefined> {
    const asked = this.#asked(path)
    return this.#reading((client) => readOwn(client, asked))
  }

  #asked(path: Path): Place {
    return { tenant: this.tenant, config: this.config, path: checkPath(path, this.#limits) }
  }

  #reading<Result>(read: (client: PoolClient) => Promise<Result>): Promise<Result> {
    return this.#transactions.read(this.tenant, read)
  }

  #edit(path: Path, options: EditOptions, creates: boolean, work: Parameters<Edits['edit']>[5]): Promise<Edited> {
    return this.#edits.edit(this.tenant, this.config, path, options, creates, work)
  }

  #read(document: Document, path: Path): Json {
    return 'json' in document
      ? parseJson(document.json, this.#limits, path)
      : jsonOf(document.value, this.#limits, path)
  }
}

export interface HistoryOptions {
  /** Of the node. Default: the root's. */
  readonly path?: Path
  /** Only edits before the one that made this version: the last of the page before. */
  readonly before?: number
  /** Default 50. */
  readonly limit?: number
}

/** An object can be made beside what a base has, not in place of its array or value: that would take the rest of it away. */
async function checkInherited(views: Views, place: Place): Promise<void> {
  const view = await views.get(place)
  if (view && !view.json.startsWith('{'))
    throw new TreeAbsentError(`The node at "${place.path}" is inherited, and no object: replace it as a whole.`)
}
