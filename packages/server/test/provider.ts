import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair } from 'jose'
import Provider from 'oidc-provider'

export const CLIENT = { id: 'tidemark', secret: 'a secret that only the two of us know' }

type Handle = ReturnType<Provider['callback']>

interface Interaction {
  readonly params: { readonly client_id: string }
  readonly session: { readonly accountId: string }
}

/** An OIDC provider, certified software, at an address of this machine. Anybody may sign in under any name. */
export async function startProvider(groupsOf: (name: string) => readonly string[]) {
  const down: Handle = (_, response) => void response.writeHead(502).end()
  let handle = down
  const server = createServer((request, response) => handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  /** Answers from now on: with new keys, and as one that has forgotten everybody. */
  const start = async (redirectUri: string, secret = CLIENT.secret): Promise<void> => {
    const { privateKey } = await generateKeyPair('RS256', { extractable: true })
    const jwk = { ...(await exportJWK(privateKey)), kid: `key ${Math.random()}`, alg: 'RS256', use: 'sig' }
    const provider = new Provider(issuer, {
      clients: [{ client_id: CLIENT.id, client_secret: secret, redirect_uris: [redirectUri] }],
      jwks: { keys: [jwk] },
      cookies: { keys: ['of the test'] },
      claims: { openid: ['sub'], profile: ['groups', 'tenants'] },
      findAccount: (_: unknown, name: string) => ({
        accountId: name,
        claims: () => ({ sub: name, groups: groupsOf(name), tenants: ['default'] }),
      }),
      // Who has signed in is not asked once more whether this server may know it.
      loadExistingGrant: async ({ oidc }: { oidc: Interaction }) => {
        const grant = new provider.Grant({ clientId: oidc.params.client_id, accountId: oidc.session.accountId })
        grant.addOIDCScope('openid profile')
        await grant.save()
        return grant
      },
    })
    handle = provider.callback()
  }
  return {
    issuer,
    start,
    stop() {
      handle = down
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
