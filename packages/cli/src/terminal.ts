import { text } from 'node:stream/consumers'

/** What a command reads from and writes to, so that tests can stand in for the process. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>
  out(text: string): void
  err(text: string): void
  /** All of the standard input; undefined where a person sits at it. */
  input(): Promise<string | undefined>
}

/** Sets the exit code of a command that was carried out. */
export type Ends = (exitCode: number) => void

export function processTerminal(): Terminal {
  // The reader may have seen enough (`| head`): that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  return {
    env: process.env,
    out: (line) => void process.stdout.write(line),
    err: (line) => void process.stderr.write(line),
    input: async () => (process.stdin.isTTY ? undefined : await text(process.stdin)),
  }
}
