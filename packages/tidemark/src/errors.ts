/**
 * The base of every error that Tidemark throws. `code` is stable and has an anchor in docs/errors.md; the message says
 * what was wrong, where, and what to do. It never holds values, secrets or another tenant's keys.
 */
export abstract class TidemarkError extends Error {
  abstract readonly code: string
  override get name(): string {
    return this.constructor.name
  }
}

/** A key's argument is of a type that keys cannot hold. */
export class KeyError extends TidemarkError {
  readonly code = 'TIDEMARK_KEY'
}

/** An option is missing, of the wrong type, or out of its range. */
export class OptionError extends TidemarkError {
  readonly code = 'TIDEMARK_OPTION'
}

/** A loader of many keys returned something else than a value for each of them. */
export class BatchAnswerError extends TidemarkError {
  readonly code = 'TIDEMARK_BATCH_ANSWER'
}

/** A pattern cannot be read, is of a kind that takes more than linear time, or is larger than the limits allow. */
export class PatternError extends TidemarkError {
  readonly code = 'TIDEMARK_PATTERN'

  /** @param position the index of the first character that is wrong; the limit's, where it is too long */
  constructor(
    message: string,
    readonly position: number,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** A position's text cannot be read. */
export class PositionError extends TidemarkError {
  readonly code = 'TIDEMARK_POSITION'
}

/** A value cannot be kept as it is: of a type that cannot be frozen or would differ when read back. */
export class ValueError extends TidemarkError {
  readonly code = 'TIDEMARK_VALUE'
}

/** A loader waits, directly or through others, for its own result. */
export class CycleError extends TidemarkError {
  readonly code = 'TIDEMARK_CYCLE'
}

/** A loader ran longer than its hard timeout. */
export class LoaderTimeoutError extends TidemarkError {
  readonly code = 'TIDEMARK_LOADER_TIMEOUT'
}

/** A read carried a position that could not be reached, or be seen, within its bound. */
export class BehindError extends TidemarkError {
  readonly code = 'TIDEMARK_BEHIND'
}

/** The source of truth cannot be reached. */
export class SourceDownError extends TidemarkError {
  readonly code = 'TIDEMARK_SOURCE_DOWN'
}

/** The log cannot be followed without a gap; L1 was emptied. */
export class LogGapError extends TidemarkError {
  readonly code = 'TIDEMARK_LOG_GAP'
}

/** The cache was closed. */
export class ClosedError extends TidemarkError {
  readonly code = 'TIDEMARK_CLOSED'
}

/** What was to be watched can never be kept, so no change would tell when it is new. */
export class NotWatchableError extends TidemarkError {
  readonly code = 'TIDEMARK_NOT_WATCHABLE'
}

/** A limit of this cache is reached; the message names the option that sets it. */
export class LimitError extends TidemarkError {
  readonly code = 'TIDEMARK_LIMIT'
}

/** A definition of this name exists in the cache. */
export class DefinedError extends TidemarkError {
  readonly code = 'TIDEMARK_DEFINED'
}
