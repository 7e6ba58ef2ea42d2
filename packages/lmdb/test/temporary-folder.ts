import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TemporaryFolder {
  readonly path: string
  /** The data file; undefined while there is none. */
  data(): string | undefined
  remove(): void
}

/** A folder for an L2 of a test's own. */
export function temporaryFolder(): TemporaryFolder {
  const path = fs.mkdtempSync(join(tmpdir(), 'tidemark-lmdb-'))
  return {
    path,
    data() {
      const environment = fs.readdirSync(path).find((name) => /^v\d+-/.test(name))
      return environment && join(path, environment, 'data.mdb')
    },
    remove: () => fs.rmSync(path, { recursive: true, force: true }),
  }
}
