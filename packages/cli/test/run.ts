import { main } from '../src/main.js'

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** What the standard input has; undefined: it is a terminal. */
  readonly input?: string | undefined
  /** Whether a person reads. Default: a pipe does. */
  readonly isTerminal?: boolean
  readonly stopped?: AbortSignal
  /** Called with all that was put out so far, each time. */
  readonly onOut?: (all: string) => void
}

/** Runs a command line, and says what it printed and how it ended. */
export async function run(
  args: readonly string[],
  { env = {}, input, isTerminal = false, stopped = new AbortController().signal, onOut }: RunOptions = {},
): Promise<{ readonly out: string; readonly err: string; readonly exitCode: number }> {
  const printed = { out: '', err: '' }
  const exitCode = await main([...args], {
    env,
    out: (text) => {
      printed.out += text
      onOut?.(printed.out)
    },
    err: (text) => {
      printed.err += text
    },
    input: async () => input,
    isTerminal,
    stopped,
  })
  return { ...printed, exitCode }
}
