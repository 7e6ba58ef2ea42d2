import { readFileSync } from 'node:fs'
import type { Server } from 'node:https'
import { createSecureContext } from 'node:tls'
import type { FastifyBaseLogger } from 'fastify'
import { type Clock, OptionError } from 'tidemark'
import type { TlsConfig } from './config/config.js'

export interface Pair {
  readonly cert: string
  readonly key: string
}

/** How often the files are looked at: certificates are renewed days before they end. */
const LOOK_MS = 5_000

/**
 * Reads a certificate and its key.
 *
 * @throws OptionError if they cannot be read, or do not belong together
 */
export function readPair(files: TlsConfig): Pair {
  try {
    const pair = { cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key, 'utf8') }
    createSecureContext(pair)
    return pair
  } catch (cause) {
    throw new OptionError(
      `server.tls: ${files.cert} and ${files.key} are not a certificate (PEM, with those above it) and its key, or cannot be read.`,
      { cause },
    )
  }
}

/**
 * Takes up a new certificate when its files change; connections that are open keep theirs. A pair that is wrong (only one
 * of them was written yet) is passed over, and told once it has been so for two looks.
 *
 * @returns how to stop
 */
export function followPair(
  server: Server,
  files: TlsConfig,
  first: Pair,
  { clock, log }: { readonly clock: Clock; readonly log: FastifyBaseLogger },
): () => void {
  let used = first
  let wrongLooks = 0
  const look = () => {
    try {
      const pair = readPair(files)
      wrongLooks = 0
      if (pair.cert !== used.cert || pair.key !== used.key) {
        server.setSecureContext(pair)
        used = pair
        log.info('The certificate was taken up anew.')
      }
    } catch (error) {
      wrongLooks++
      if (wrongLooks === 2) log.warn({ err: error }, 'The certificate that is used goes on.')
    }
    timer = clock.after(LOOK_MS, look)
  }
  let timer = clock.after(LOOK_MS, look)
  return () => timer.cancel()
}
