import { TidemarkError } from 'tidemark'

/** A tenant's or a config's name is not of the form that is allowed. */
export class TreeNameError extends TidemarkError {
  readonly code = 'TIDEMARK_TREE_NAME'
}

/** What should name a node is no JSON Pointer (RFC 6901), too long, too deep, or holds what PostgreSQL cannot store. */
export class TreePathError extends TidemarkError {
  readonly code = 'TIDEMARK_TREE_PATH'
}

/** A document is no JSON, or holds what cannot be stored as it is. `path` names the node, where there is one. */
export class TreeValueError extends TidemarkError {
  readonly code = 'TIDEMARK_TREE_VALUE'

  constructor(
    message: string,
    readonly path?: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** There is no such config, node or version. A config of another tenant is absent in the same words. */
export class TreeAbsentError extends TidemarkError {
  readonly code = 'TIDEMARK_TREE_ABSENT'
}

/** The node is not of the version that the edit was made for: somebody else changed it. */
export class TreeVersionError extends TidemarkError {
  readonly code = 'TIDEMARK_TREE_VERSION'

  /** @param version  the one that it has; undefined if it does not exist */
  constructor(
    message: string,
    readonly version: string | undefined,
  ) {
    super(message)
  }
}

/** An operation of an edit cannot be done; nothing was. `operation` is its index. */
export class TreePatchError extends TidemarkError {
  readonly code = 'TIDEMARK_TREE_PATCH'

  constructor(
    message: string,
    readonly operation: number,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** References, inheritance or dependencies would lead back to where they begin. */
export class TreeCycleError extends TidemarkError {
  readonly code = 'TIDEMARK_TREE_CYCLE'
}

/** A limit of trees is reached: nodes of an edit, of a config, references one behind another, or the time of a search. */
export class TreeLimitError extends TidemarkError {
  readonly code = 'TIDEMARK_TREE_LIMIT'
}

/** The config would not be what its JSON Schema says; nothing was changed. */
export class TreeSchemaError extends TidemarkError {
  readonly code = 'TIDEMARK_TREE_SCHEMA'

  /** @param problems  the nodes that are wrong, and how; at most 20 */
  constructor(
    message: string,
    readonly problems: readonly { readonly path: string; readonly message: string }[],
  ) {
    super(message)
  }
}
