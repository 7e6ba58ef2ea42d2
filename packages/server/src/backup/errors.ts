import { TidemarkError } from 'tidemark'

/** A backup cannot be made, or a file cannot be restored; nothing was changed. */
export class BackupError extends TidemarkError {
  readonly code = 'TIDEMARK_BACKUP'
}
