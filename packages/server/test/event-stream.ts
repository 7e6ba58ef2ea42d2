import { type ClientRequest, get, type IncomingMessage } from 'node:http'

export interface StreamEvent {
  readonly id: string | undefined
  readonly event: string | undefined
  readonly data: string
}

/** A client of server-sent events, as strict as a browser's: what it got, and whether it has ended. */
export class EventStream {
  readonly events: StreamEvent[] = []
  readonly comments: string[] = []
  readonly retries: number[] = []
  status: number | undefined
  headers: IncomingMessage['headers'] = {}
  text = ''
  isEnded = false
  readonly #request: ClientRequest
  #response: IncomingMessage | undefined
  #buffer = ''

  constructor(url: string, headers: Record<string, string> = {}) {
    this.#request = get(url, { headers, agent: false }, (response) => {
      this.#response = response
      this.status = response.statusCode
      this.headers = response.headers
      response.setEncoding('utf8')
      response.on('data', (text: string) => this.#read(text))
      response.on('close', () => {
        this.isEnded = true
      })
    })
    this.#request.on('error', () => {
      this.isEnded = true
    })
  }

  get last(): StreamEvent | undefined {
    return this.events.at(-1)
  }

  get lastEventId(): string {
    return this.events.findLast(({ id }) => id !== undefined)?.id ?? ''
  }

  /** Takes nothing more from the socket, as a client that hangs. */
  pause(): void {
    this.#response?.pause()
  }

  resume(): void {
    this.#response?.resume()
  }

  close(): void {
    this.#request.destroy()
  }

  #read(text: string): void {
    this.text += text
    this.#buffer += text
    const blocks = this.#buffer.split('\n\n')
    this.#buffer = blocks.pop()!
    for (const block of blocks) this.#block(block)
  }

  #block(block: string): void {
    const fields = new Map<string, string[]>()
    for (const line of block.split('\n')) {
      if (line.startsWith(':')) this.comments.push(line.slice(1).trim())
      else {
        const at = line.indexOf(':')
        const name = at === -1 ? line : line.slice(0, at)
        fields.set(name, [...(fields.get(name) ?? []), at === -1 ? '' : line.slice(at + 1).replace(/^ /, '')])
      }
    }
    for (const retry of fields.get('retry') ?? []) this.retries.push(Number(retry))
    const data = fields.get('data')
    if (data) this.events.push({ id: fields.get('id')?.[0], event: fields.get('event')?.[0], data: data.join('\n') })
  }
}
