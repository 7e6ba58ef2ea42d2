import { TidemarkError } from 'tidemark'

/** The journal's tables cannot be used as they are, or its key cannot be read. */
export class JournalError extends TidemarkError {
  readonly code = 'TIDEMARK_JOURNAL'
}
