import { main } from '../src/main.js'

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** What the standard input has; undefined: it is a terminal. */
  readonly input?: string | undefined
}

/** Runs a command line, and says what it printed and how it ended. */
export async function run(
  args: readonly string[],
  { env = {}, input }: RunOptions = {},
): Promise<{ readonly out: string; readonly err: string; readonly exitCode: number }> {
  const printed = { out: '', err: '' }
  const exitCode = await main([...args], {
    env,
    out: (text) => {
      printed.out += text
    },
    err: (text) => {
      printed.err += text
    },
    input: async () => input,
  })
  return { ...printed, exitCode }
}
