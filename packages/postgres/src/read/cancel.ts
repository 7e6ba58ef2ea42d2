import { Client, type ClientConfig } from 'pg'

/** What the driver has, but does not declare: the address and the key of a connected client. */
interface Connected {
  readonly host: string
  readonly port: number
  readonly processID: number | null
  readonly secretKey: number | null
  readonly ssl?: unknown
}

interface CancelConnection {
  connect(port: number | string, host?: string): void
  requestSsl(): void
  cancel(processId: number, secretKey: number): void
  on(event: 'connect' | 'sslconnect' | 'error', listener: () => void): void
}

/**
 * Asks the server, on a connection beside it, to end what a client runs. The request may arrive when the client already runs
 * something else: so the caller must not use the client again.
 */
export function cancelQueries(client: Client, config: ClientConfig): void {
  const { host, port, processID, secretKey } = client as unknown as Connected
  if (processID === null || secretKey === null) return
  const side = new Client(config) as unknown as Connected & { readonly connection: CancelConnection }
  const { connection } = side
  const send = (): void => connection.cancel(processID, secretKey)
  connection.on('error', () => {}) // Then the query ends when it finds nobody to send its rows to.
  connection.on('connect', () => (side.ssl ? connection.requestSsl() : send()))
  connection.on('sslconnect', send)
  if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`)
  else connection.connect(port, host)
}
