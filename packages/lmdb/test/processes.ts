import { type ChildProcess, spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** A program beside this file as JavaScript in one file, as processes that are started by the dozen must start fast. */
export class Program {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async of(name: string): Promise<Program> {
    const folder = fs.mkdtempSync(join(tmpdir(), 'tidemark-program-'))
    const conditions = ['source']
    await build({
      configFile: false,
      root,
      logLevel: 'error',
      resolve: { conditions },
      ssr: { noExternal: [/^@?tidemark/], resolve: { conditions } },
      build: {
        ssr: fileURLToPath(new URL(name, import.meta.url)),
        outDir: folder,
        emptyOutDir: false,
        target: 'node20',
        rollupOptions: { output: { entryFileNames: 'program.js' } },
      },
    })
    fs.writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    fs.symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    return new Program(folder)
  }

  /**
   * Runs it. What it sends is handed to `heard`.
   *
   * @param shell  what the shell does before it becomes the program
   */
  start(options: object, heard: (message: unknown, from: ChildProcess) => void = () => {}, shell = ''): Process {
    const command = [process.execPath, join(this.#folder, 'program.js'), JSON.stringify(options)]
    const child = spawn('/bin/sh', ['-c', `${shell} exec "$@"`, 'sh', ...command], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    child.on('message', (message) => heard(message, child))
    const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
      child.once('exit', (code, signal) => resolve(code ?? signal)),
    )
    return {
      process: child,
      ended,
      async kill(signal = 'SIGKILL') {
        child.kill(signal)
        await ended
      },
    }
  }

  remove(): void {
    fs.rmSync(this.#folder, { recursive: true, force: true })
  }
}

export interface Process {
  readonly process: ChildProcess
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>
  kill(signal?: NodeJS.Signals): Promise<void>
}

/** Waits for a condition; fails when it has not come true within the bound. */
export async function until(isSo: () => boolean | Promise<boolean>, what: string, boundMs = 60_000): Promise<void> {
  const end = performance.now() + boundMs
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`not so after ${boundMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
