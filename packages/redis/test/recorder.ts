import type { Commit, Log, LogListener, LogStart, TargetChange, TidemarkError } from 'tidemark'
import { until } from './redis-server.js'

/** What a log tells, in order. */
export class Recorder implements LogListener {
  readonly starts: LogStart[] = []
  readonly commits: Commit[] = []
  readonly losses: TidemarkError[] = []
  readonly progressed: number[] = []
  resumes = 0

  constructor(readonly log: Log) {
    log.follow(this)
  }

  started(start: LogStart): void {
    this.starts.push(start)
  }

  commit(commit: Commit): void {
    this.commits.push(commit)
  }

  progress(lsn: number): void {
    this.progressed.push(lsn)
  }

  lost(reason: TidemarkError): void {
    this.losses.push(reason)
  }

  resumed(): void {
    this.resumes++
  }

  get requests(): TargetChange[] {
    return this.commits.flatMap(({ changes }) => changes).filter((change) => change.kind === 'target')
  }

  get nonces(): (string | undefined)[] {
    return this.requests.map(({ nonce }) => nonce)
  }

  hasStarted(times = 1): Promise<void> {
    return until(() => this.starts.length >= times, `started ${times} times`)
  }

  hears(nonce: string): Promise<void> {
    return until(() => this.nonces.includes(nonce), `hears ${nonce}`)
  }
}

export function request(nonce: string, mode: TargetChange['mode'] = 'drop'): TargetChange {
  return { kind: 'target', targets: [{ kind: 'tag', tenant: 'a', tag: nonce }], mode, nonce }
}
