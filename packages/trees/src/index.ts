export type { Edited, EditOptions } from './edit.js'
export {
  TreeAbsentError,
  TreeCycleError,
  TreeLimitError,
  TreeNameError,
  TreePatchError,
  TreePathError,
  TreeSchemaError,
  TreeValueError,
  TreeVersionError,
} from './errors.js'
export type { Difference, PastEdit } from './history.js'
export type { TreeLimits } from './limits.js'
export type { Path } from './pointer.js'
export {
  type Document,
  type HistoryOptions,
  openTrees,
  type Tree,
  type TreeNode,
  type Trees,
  type TreesOptions,
} from './trees.js'
export type { View } from './view.js'
