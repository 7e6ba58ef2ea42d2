import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// Holds the mount until its standard input ends, however this process does: no mount is left behind.
const HOLD = 'mount -t tmpfs -o size="$2",mode=0700 tidemark "$1" && echo mounted && read -r _; umount -l "$1"'

/** A disk so small that a test can fill it: a file system in memory, which an account of PostgreSQL's may own. */
export async function smallDisk(size: string, owner: { readonly uid: number; readonly gid: number }) {
  const path = mkdtempSync(join(tmpdir(), 'tidemark-disk-'))
  const holder = spawn('sh', ['-c', HOLD, 'sh', path, size], { detached: true, stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(holder, 'close')
  const isMounted = await Promise.race([once(holder.stdout, 'data').then(() => true), ended.then(() => false)])
  if (!isMounted) {
    rmSync(path, { recursive: true })
    throw new Error('No file system can be mounted here.')
  }
  chownSync(path, owner.uid, owner.gid)
  const filler = join(path, 'filler')
  return {
    path,
    fill() {
      // In small pieces at last, so that really nothing is left.
      for (const bytes of [2 ** 16, 2 ** 12, 1]) {
        try {
          for (;;) appendFileSync(filler, Buffer.alloc(bytes))
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        }
      }
    },
    makeRoom() {
      rmSync(filler, { force: true })
    },
    /** Whoever still uses it keeps what is open. */
    async close() {
      holder.stdin.end()
      await ended
      rmSync(path, { recursive: true })
    },
  }
}
