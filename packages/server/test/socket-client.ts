import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client'
import { until } from './until.js'

/** What a socket was told, each with its event. */
export interface Told {
  readonly event: string
  readonly subscription?: string
  readonly id?: string
  readonly value?: unknown
  readonly text?: string
  readonly patch?: unknown
  readonly absent?: true
  readonly whole?: boolean
  readonly changed?: Readonly<Record<string, unknown>>
  readonly removed?: readonly string[]
  readonly unchanged?: true
  readonly problem?: { readonly code: string; readonly status: number }
  readonly [more: string]: unknown
}

/** A client of Socket.IO, as a program has one: what it was told, in order. */
export class SocketClient {
  readonly socket: Socket
  readonly told: Told[] = []
  /** Why connecting was refused. */
  refused: { readonly code: string; readonly status: number } | undefined
  isEnded = false

  constructor(url: string, options: Partial<ManagerOptions & SocketOptions> = {}) {
    this.socket = io(url, { forceNew: true, transports: ['websocket'], reconnection: false, ...options })
    this.socket.onAny((event: string, message: object) => this.told.push({ event, ...message }))
    this.socket.on('connect_error', (error: Error & { data?: { problem: SocketClient['refused'] } }) => {
      this.refused = error.data?.problem ?? { code: error.message, status: 0 }
    })
    this.socket.on('disconnect', () => {
      this.isEnded = true
    })
  }

  /** Once it is let in. */
  async connected(): Promise<this> {
    await until(() => this.socket.connected || this.refused !== undefined)
    if (!this.socket.connected) throw new Error(`refused: ${this.refused?.code}`)
    return this
  }

  async ask(event: string, message?: unknown): Promise<Told> {
    return this.socket.timeout(20_000).emitWithAck(event, message)
  }

  subscribe(tenant: string, config: string, path = '', more: object = {}): Promise<Told> {
    return this.ask('subscribe', { tenant, config, path, ...more })
  }

  /** What it was told of one subscription since its answer. */
  of(subscription: string | undefined): Told[] {
    return this.told.filter((each) => each.subscription === subscription)
  }

  close(): void {
    this.socket.disconnect()
  }
}
