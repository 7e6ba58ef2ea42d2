export { treesBackup } from './backup.js'
export { patchBetween } from './difference.js'
export type { Edited, EditOptions, Touched } from './edit.js'
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
export { cutJson, memberTexts } from './json.js'
export type { TreeLimits } from './limits.js'
export type { Head, ListOptions, NodeInfo } from './lists.js'
export type { Path } from './pointer.js'
export type { Reading } from './readings.js'
export type { NodeState, RegisteredNode } from './registry.js'
export type { Document, HistoryOptions, Tree } from './tree.js'
export type { TreeNode } from './tree-node.js'
export { openTrees, type Trees, type TreesOptions } from './trees.js'
export type { View } from './view.js'
export { type Wildcard, wildcardOf } from './wildcard.js'
export { jsonOfYaml, yamlOfJson } from './yaml.js'
