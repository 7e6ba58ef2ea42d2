import { generateKeyPairSync, sign } from 'node:crypto'
import { Agent, request } from 'node:http'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

/** Tokens of an issuer that lives as long as the run: the server reads its keys from a file. */
export class Issuer {
  #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })

  get jwks() {
    return JSON.stringify({ keys: [{ ...this.#keys.publicKey.export({ format: 'jwk' }), kid: '1', alg: 'ES256' }] })
  }

  bearer(sub, tenant) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const exp = Math.floor(Date.now() / 1_000) + 3_600
    const claims = { iss: 'https://issuer.test/', aud: 'tidemark', sub, exp, roles: ['admin'], tenants: [tenant] }
    const text = `${part({ alg: 'ES256', kid: '1', typ: 'JWT' })}.${part(claims)}`
    const key = { key: this.#keys.privateKey, dsaEncoding: 'ieee-p1363' }
    const headers = { authorization: `Bearer ${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}` }
    return { ...headers, 'tidemark-tenant': tenant }
  }
}

/** Somebody who asks the service: a few connections that stay open. */
export class Client {
  #agent
  #address
  #headers

  constructor(address, headers, connections = 4) {
    this.#address = new URL(address)
    this.#headers = headers
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
  }

  /** Resolves with the answer, and how long it took. A server that hangs up before all was sent may have answered, too. */
  ask(method, path, body) {
    const began = performance.now()
    const isChunked = body?.isChunked === true
    const text =
      body === undefined || typeof body === 'string' || Buffer.isBuffer(body) || isChunked ? body : JSON.stringify(body)
    const { hostname, port } = this.#address
    const headers = {
      ...this.#headers,
      ...(text === undefined ? {} : { 'content-type': 'application/json' }),
      ...(text === undefined || isChunked ? {} : { 'content-length': Buffer.byteLength(text) }),
    }
    return new Promise((resolve, reject) => {
      const asked = request({ hostname, port, agent: this.#agent, method, path, headers }, (response) => {
        let answer = ''
        response.setEncoding('utf8').on('data', (part) => {
          answer += part
        })
        const end = () =>
          resolve({
            status: response.statusCode,
            headers: response.headers,
            text: answer,
            ms: performance.now() - began,
          })
        response.on('end', end).on('error', end)
      })
      asked.on('error', reject)
      if (!isChunked) return asked.end(text)
      Readable.from(text).pipe(asked)
    })
  }

  /** Opens so many streams at once, and closes them when each was answered. */
  async streams(path, count) {
    const { hostname, port } = this.#address
    const opened = await Promise.all(
      Array.from(
        { length: count },
        () =>
          new Promise((resolve, reject) => {
            const asked = request({ hostname, port, path, headers: this.#headers, agent: false }, (response) =>
              resolve({ status: response.statusCode, headers: response.headers, asked }),
            )
            asked.on('error', reject)
            asked.end()
          }),
      ),
    )
    for (const { asked } of opened) asked.on('error', () => {}).destroy()
    return opened
  }

  /** Asks again and again until told to end, `gapMs` apart. Returns the times of all answers. */
  async read(path, { until, gapMs = 0 }) {
    const [times, failed] = [[], []]
    while (!until.aborted) {
      const { status, ms } = await this.ask('GET', path(times.length))
      times.push(ms)
      // What an invalidation took is not there, and says so.
      if (status !== 200 && status !== 404) failed.push(status)
      if (gapMs > 0) await sleep(gapMs)
    }
    return { times, failed }
  }

  close() {
    this.#agent.destroy()
  }
}
