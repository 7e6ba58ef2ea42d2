import { countOf, type Environment } from './environment.js'
import { textKey } from './keys.js'

/** Those of processes that died are not let go; above so many all are forgotten, which costs a few needless loads. */
const LEASES_MAX = 10_000
const TRIES_MAX = 3
const HEAD_BYTES = 16

interface Lease {
  readonly version: number
  readonly holder: string
  readonly isOver: boolean
}

/** Whether the holder has the key now. @param upMicros  the present, later than any that this process gave before */
export async function lease(
  environment: Environment,
  key: string,
  holder: string,
  ms: number,
  upMicros: () => number,
): Promise<boolean> {
  const at = textKey(key)
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    environment.refresh()
    const now = upMicros()
    const held = leaseOf(environment, at, now)
    if (held && held.holder !== holder && !held.isOver) return false
    const isFull = countOf(environment.leases) > LEASES_MAX
    const isWritten = await environment.writeIf(environment.leases, at, held?.version, () => {
      if (isFull) void environment.leases.clearAsync()
      void environment.leases.put(at, encodeLease(now, ms, holder), now)
    })
    if (isWritten) return true
  }
  return false
}

export async function release(environment: Environment, key: string, holder: string): Promise<void> {
  const at = textKey(key)
  environment.refresh()
  const held = leaseOf(environment, at, 0)
  if (held?.holder !== holder) return
  await environment.writeIf(environment.leases, at, held.version, () => {
    void environment.leases.remove(at)
  })
}

function encodeLease(upMicros: number, ms: number, holder: string): Buffer {
  const record = Buffer.allocUnsafe(HEAD_BYTES + Buffer.byteLength(holder))
  record.writeDoubleBE(upMicros, 0)
  record.writeDoubleBE(ms, 8)
  record.write(holder, HEAD_BYTES, 'utf8')
  return record
}

function leaseOf(environment: Environment, key: Buffer, now: number): Lease | undefined {
  const found = environment.leases.getEntry(key)
  if (!found) return undefined
  const passedMs = (now - found.value.readDoubleBE(0)) / 1_000
  // The clock goes back where the machine was started anew.
  const isOver = passedMs < 0 || passedMs >= found.value.readDoubleBE(8)
  return { version: found.version!, holder: found.value.toString('utf8', HEAD_BYTES), isOver }
}
