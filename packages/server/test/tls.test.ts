import { type RequestOptions, request } from 'node:https'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { OptionError } from 'tidemark'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listen } from '../src/listen.js'
import { certificateOf } from './certificate.js'
import { CONFIG, fakeServer } from './fake-database.js'
import { BOUND, temporaryFolder } from './serving.js'

let folder: ReturnType<typeof temporaryFolder>
let server: Awaited<ReturnType<typeof fakeServer>> | undefined

beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(async () => {
  await server?.close()
  server = undefined
  folder.remove()
})

const path = (name: string) => join(folder.path, name)

function use(cert: { readonly cert: string }, key: { readonly key: string }): void {
  folder.write('used.crt', cert.cert)
  folder.write('used.key', key.key)
}

const config = () => `${CONFIG}server: { tls: { cert: "${path('used.crt')}", key: "${path('used.key')}" } }\n`

/** Whose certificate is shown, and the answer. */
function ask(port: number, options: RequestOptions = {}) {
  return new Promise<{ name: unknown; status: number; hsts: unknown }>((resolve, reject) => {
    const asked = {
      port,
      host: '127.0.0.1',
      path: '/api/resources/posts',
      agent: false,
      rejectUnauthorized: false,
      ...options,
    }
    request(asked, (response) => {
      response.resume()
      const name = (response.socket as TLSSocket).getPeerCertificate().subject.CN
      resolve({ name, status: response.statusCode!, hsts: response.headers['strict-transport-security'] })
    })
      .on('error', reject)
      .end()
  })
}

describe('HTTPS', () => {
  it('takes up a new certificate without a stop, and passes over a wrong one', async () => {
    const one = certificateOf('one')
    const two = certificateOf('two')
    use(one, one)
    server = await fakeServer({ config: config() })
    const port = await listen(server.app, '127.0.0.1', 0)
    expect(await ask(port)).toEqual({ name: 'one', status: 200, hsts: 'max-age=31536000' })
    const own = { origin: `https://127.0.0.1:${port}` }
    expect((await ask(port, { headers: own })).status).toBe(200)
    expect((await ask(port, { headers: { origin: `http://127.0.0.1:${port}` } })).status).toBe(403)
    await expect(ask(port, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).rejects.toThrow()

    use(two, two)
    await expect.poll(async () => (await ask(port)).name, BOUND).toBe('two')
    use(one, two)
    const looks = performance.now() + 6_000
    await expect.poll(() => performance.now() > looks, BOUND).toBe(true)
    expect((await ask(port)).name).toBe('two')
    use(one, one)
    await expect.poll(async () => (await ask(port)).name, BOUND).toBe('one')
  })

  it('is not begun without a certificate and its key', async () => {
    await expect(fakeServer({ config: config() })).rejects.toThrow(OptionError)
  })
})
