import { TidemarkError } from 'tidemark'

/** The Redis or Valkey that holds the stream can't be reached, or did not answer in time. */
export class RedisDownError extends TidemarkError {
  readonly code = 'TIDEMARK_REDIS_DOWN'
}

/** The Redis or Valkey that holds the stream answers, but refuses or can't do what the stream needs. */
export class RedisRefusedError extends TidemarkError {
  readonly code = 'TIDEMARK_REDIS_REFUSED'
}

/** What a command's failure means. The server's own words can hold values, so they stay in `cause`. */
export function streamError(error: unknown): TidemarkError {
  if (error instanceof TidemarkError) return error
  // The client's errors carry the command with all that was to be written.
  if (error instanceof Error && 'command' in error) delete error.command
  const kind = kindOf(error)
  const known = REFUSALS[kind]
  if (known !== undefined) return new RedisRefusedError(known, { cause: error })
  if (/^[A-Z]{3,}$/.test(kind)) {
    return new RedisRefusedError(`Redis refused a command on the stream (${kind}). See the error's cause.`, {
      cause: error,
    })
  }
  return new RedisDownError(
    'The Redis that holds the stream cannot be reached, or did not answer in time. Check its address and that it runs.',
    { cause: error },
  )
}

/** The first word of a server's error is its kind; errors of sockets and of the client have none. */
export function kindOf(error: unknown): string {
  if (!(error instanceof Error) || 'syscall' in error) return ''
  // What a script may not call has no kind of its own.
  if (/^ERR (The user executing the script can't run this command|ACL failure in script)/.test(error.message))
    return 'NOPERM'
  // Inside a script, versions before 7 put the kind behind words of their own.
  const words = error.message.replace(/^ERR Error running script.*?: (?:@user_script: ?\d+: )*(?:-(?=[A-Z]))?/, '')
  return /^([A-Z]{3,})\b/.exec(words)?.[1] ?? ''
}

const REFUSALS: Readonly<Record<string, string>> = {
  NOPERM:
    'The Redis user may not do what the stream needs. Allow it: +xadd +xread +xrange +xrevrange +xinfo +info +time +exists +eval +evalsha on the key of the stream.',
  NOAUTH: 'Redis wants a password. Put it into the address: redis://user:password@host:6379',
  WRONGPASS: 'Redis does not know this user and password.',
  WRONGTYPE: 'The key of the stream holds something else. Name another one (option `stream`).',
  OOM: 'Redis is full (maxmemory) and refuses to write. Raise maxmemory, or keep less of the stream (option `retain`).',
  READONLY: 'The address leads to a replica of Redis, which lags what it copies. Give the address of the primary.',
  MISCONF: 'Redis refuses writes because it cannot save to disk. See its log.',
}
