import { TidemarkError } from 'tidemark'
import type { Difference } from './terms.js'

/** Which process something was found at. */
export interface ProcessName {
  readonly pid: number
  readonly host: string
  readonly address: string | null
  readonly version: string
}

/** Another process that shares L2 or relay with this one is configured otherwise where all must be the same. */
export class DisagreementError extends TidemarkError {
  readonly code = 'TIDEMARK_DISAGREEMENT'
  constructor(
    readonly differences: readonly Difference[],
    readonly process: ProcessName,
    options?: ErrorOptions,
  ) {
    const { pid, host, address, version } = process
    const list = differences.map(
      ({ setting, here, there }) => `${setting} is ${shown(here)} here and ${shown(there)} there`,
    )
    super(
      `This process must not join: ${list.join('; ')}. There is process ${pid} on ${host} (${address ?? 'not listening yet'}, version ${version}), which came first. ` +
        'Give both the same; or, if they are not of one application, each its own l2.name, relay.stream, source.publication and source.slot.',
      options,
    )
  }
}

function shown(value: string | number | null): string {
  return value === null ? 'not set' : JSON.stringify(value)
}
