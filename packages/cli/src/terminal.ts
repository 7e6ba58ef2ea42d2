import { text } from 'node:stream/consumers'
import { styleText } from 'node:util'

/** What a command reads from and writes to, so that tests can stand in for the process. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>
  out(text: string): void
  err(text: string): void
  /** All of the standard input; undefined where a person sits at it. */
  input(): Promise<string | undefined>
  /** Whether a person reads what is put out: then it may have colours, and be written over. */
  readonly isTerminal: boolean
  /** Aborts when the command is asked to stop: Ctrl-C. */
  readonly stopped: AbortSignal
}

/** How a state is shown where there are colours. */
export type Colour = 'green' | 'yellow' | 'red' | 'dim' | 'bold'

/** Colours for people only, and not for those who refuse them: https://no-color.org */
export function painter({ isTerminal, env }: Terminal): (colour: Colour, text: string) => string {
  if (!isTerminal || env.NO_COLOR) return (_, text) => text
  return (colour, text) => styleText(colour, text, { validateStream: false })
}

/** Sets the exit code of a command that was carried out. */
export type Ends = (exitCode: number) => void

export function processTerminal(): Terminal {
  // The reader may have seen enough (`| head`): that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  const stop = new AbortController()
  return {
    env: process.env,
    isTerminal: process.stdout.isTTY === true,
    // Listened for only by a command that goes on by itself: else Ctrl-C ends the process as always.
    get stopped() {
      if (process.listenerCount('SIGINT') === 0) process.once('SIGINT', () => stop.abort())
      return stop.signal
    },
    out: (line) => void process.stdout.write(line),
    err: (line) => void process.stderr.write(line),
    input: async () => (process.stdin.isTTY ? undefined : await text(process.stdin)),
  }
}
