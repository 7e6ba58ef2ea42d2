import { TidemarkError } from 'tidemark'

/** The folder of an embedded L2 can't be used: rights, owner, or a file system that can't be shared as memory. */
export class LmdbFolderError extends TidemarkError {
  readonly code = 'TIDEMARK_LMDB_FOLDER'
}

/** The embedded L2 did not do what was asked: no space, no answer within the deadline, or it was closed. Counts as a miss. */
export class LmdbDownError extends TidemarkError {
  readonly code = 'TIDEMARK_LMDB_DOWN'
}
