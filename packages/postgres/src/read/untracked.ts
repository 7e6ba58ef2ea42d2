import pg, { type ClientConfig } from 'pg'
import { currentReading } from 'tidemark'
import { notifyUntracked } from './notices.js'
import { trackedClients } from './tracked.js'

/** The module `pg`, of which programs may have a copy of their own. */
export interface Driver {
  readonly Client: { readonly prototype: object }
}

type Query = (this: Address, ...args: unknown[]) => unknown

interface Address {
  readonly host: string
  readonly port: number
  readonly database: string | undefined
}

/**
 * Reports each query that a loader runs on a client of this module that leads to the same database, and is not wrapped. It changes
 * the module for everybody in the process: for development.
 *
 * @returns puts the module back as it was
 */
export function watchUntracked(driver: Driver, config: ClientConfig): () => void {
  const prototype = driver.Client.prototype as { query: Query }
  const { query } = prototype
  const followed = new pg.Client(config) as Address
  prototype.query = function (...args) {
    const reading = currentReading()
    if (reading && !trackedClients.has(this) && isSame(this, followed)) notifyUntracked(reading, textOf(args[0]))
    return query.apply(this, args)
  }
  return () => {
    prototype.query = query
  }
}

function isSame(client: Address, followed: Address): boolean {
  return (
    client.database === followed.database &&
    Number(client.port) === Number(followed.port) &&
    hostOf(client) === hostOf(followed)
  )
}

function hostOf({ host }: Address): string {
  return /^(localhost|127\.0\.0\.1|::1)$/.test(host) ? 'localhost' : host
}

function textOf(config: unknown): string | undefined {
  const text = typeof config === 'string' ? config : (config as { text?: unknown } | null)?.text
  return typeof text === 'string' ? text : undefined
}
