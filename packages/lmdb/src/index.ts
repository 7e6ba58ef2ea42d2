export { LmdbDownError, LmdbFolderError } from './errors.js'
export { type LmdbL2, type LmdbStatus, lmdbL2 } from './lmdb-l2.js'
export type { LmdbL2Options } from './options.js'
