import { TidemarkError } from 'tidemark'

/** The data folder cannot hold the server's files: not a folder, not writable, not ours, or full of something else. */
export class DataFolderError extends TidemarkError {
  readonly code = 'TIDEMARK_DATA_FOLDER'
}

/** Another live process uses the data folder. `pid` is the process that started the server there. */
export class DataInUseError extends TidemarkError {
  readonly code = 'TIDEMARK_DATA_IN_USE'
  constructor(
    readonly dataDir: string,
    readonly pid: number,
    options?: ErrorOptions,
  ) {
    super(
      `The data folder ${dataDir} is in use by process ${pid}. Stop that process, or give this one another folder (--data or TIDEMARK_DATA).`,
      options,
    )
  }
}

/** The data folder was written by another major version of PostgreSQL than the one that is installed. */
export class DataVersionError extends TidemarkError {
  readonly code = 'TIDEMARK_DATA_VERSION'
  constructor(
    readonly dataDir: string,
    readonly found: string,
    readonly wanted: string,
  ) {
    super(
      `The data folder ${dataDir} was written by PostgreSQL ${found}; the embedded server is PostgreSQL ${wanted}. ` +
        `Start with another folder (--data or TIDEMARK_DATA), or dump the old data with PostgreSQL ${found} and restore it.`,
    )
  }
}

/** There is no embedded PostgreSQL for this machine, or its binaries are not installed. */
export class EmbeddedUnsupportedError extends TidemarkError {
  readonly code = 'TIDEMARK_EMBEDDED_UNSUPPORTED'
}

/** The embedded PostgreSQL did not start. `output` is the end of what it printed. */
export class EmbeddedStartError extends TidemarkError {
  readonly code = 'TIDEMARK_EMBEDDED_START'
  constructor(
    what: string,
    readonly output: readonly string[],
    options?: ErrorOptions,
  ) {
    super(
      `${what}${output.length === 0 ? '' : ` It printed:\n${output.map((line) => `  ${line}`).join('\n')}`}`,
      options,
    )
  }
}
