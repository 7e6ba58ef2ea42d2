import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'

/** So long a process is on trial after it has opened the file. */
const TRIAL_MS = 2_000
/** A mark that is older was left by a process that did not live so long; or was too busy to take it away, which three must be. */
const OLD_MS = 3 * TRIAL_MS
const FAILED_MAX = 3
const MARK = 'trial-'

/**
 * Tells a file that ends whoever reads it: damage can be such that LMDB ends the process by a signal, and a supervisor starts it again,
 * and again. Each process leaves a mark beside the file as it opens it, and takes it away after two seconds, with those that were left
 * by others: the file can be lived with.
 */
export class Trial {
  readonly #mark: string
  readonly #timer: NodeJS.Timeout

  constructor(folder: string) {
    this.#mark = join(folder, `${MARK}${randomBytes(6).toString('hex')}`)
    this.#timer = setTimeout(() => {
      for (const mark of [this.#mark, ...oldMarks(folder)]) remove(mark)
    }, TRIAL_MS).unref()
    // Where nothing can be written, LMDB will say so.
    tried(() => fs.writeFileSync(this.#mark, '', { mode: 0o600 }))
  }

  end(): void {
    clearTimeout(this.#timer)
    remove(this.#mark)
  }
}

/** Whether several processes one after the other did not outlive their trial. */
export function isDeadly(folder: string): boolean {
  return oldMarks(folder).length >= FAILED_MAX
}

function oldMarks(folder: string): string[] {
  const before = Date.now() - OLD_MS
  const marks = tried(() => fs.readdirSync(folder).filter((name) => name.startsWith(MARK))) ?? []
  return marks
    .map((name) => join(folder, name))
    .filter((path) => (tried(() => fs.statSync(path, { throwIfNoEntry: false })?.mtimeMs) ?? before) < before)
}

function remove(path: string): void {
  tried(() => fs.rmSync(path, { force: true }))
}

function tried<Result>(act: () => Result): Result | undefined {
  try {
    return act()
  } catch {
    return undefined
  }
}
