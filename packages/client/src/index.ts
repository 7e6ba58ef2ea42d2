export {
  type Client,
  createClient,
  type Invalidated,
  type Invalidation,
  type Parameters,
  type ResourceClient,
} from './client.js'
export { ClientError } from './errors.js'
export type { ClientOptions } from './http.js'
export type { Live, Source, WatchOptions } from './live.js'
export type { Edited, EditOptions, PatchOperation, Read, ReadOptions, TreeClient, TreeNodeClient } from './tree.js'
