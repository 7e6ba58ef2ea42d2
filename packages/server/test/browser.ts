import { parseCookie, parseSetCookie } from 'cookie'

interface Answer {
  readonly status: number
  readonly url: string
  readonly headers: Headers
  readonly text: string
  readonly code: string | undefined
}

/** As much of a browser as it takes to sign in: keeps cookies, follows links, fills in a form. Runs no scripts. */
export class Browser {
  /** By host, whatever the port, as browsers do. */
  readonly #cookies = new Map<string, { readonly value: string; readonly path: string }>()
  /** As they were set. */
  readonly set: string[] = []

  /** One request. */
  async ask(url: string, init: RequestInit = {}): Promise<Answer> {
    const sent = this.cookieFor(url)
    const headers = { ...(sent === '' ? {} : { cookie: sent }), ...(init.headers as Record<string, string>) }
    const response = await fetch(url, { redirect: 'manual', ...init, headers })
    for (const each of response.headers.getSetCookie()) this.#keep(each)
    const text = await response.text()
    return { status: response.status, url, headers: response.headers, text, code: /"code":"(\w+)"/.exec(text)?.[1] }
  }

  /** Follows where it is sent, until `until` holds of the next address, or it is sent nowhere. */
  async open(url: string, until: (next: string) => boolean = () => false): Promise<Answer> {
    let answer = await this.ask(url)
    for (let i = 0; i < 20; i++) {
      const to = answer.headers.get('location')
      if (to === null) return answer
      const next = new URL(to, answer.url).href
      if (until(next)) return answer
      answer = await this.ask(next)
    }
    throw new Error('It was sent on for ever.')
  }

  /** Signs in at the provider's form, and goes on from there. */
  async signIn(url: string, name: string, until?: (next: string) => boolean): Promise<Answer> {
    const form = await this.open(url, until)
    const [, action] = /<form[^>]*action="([^"]+)"/.exec(form.text) ?? []
    // The provider knows them already.
    if (action === undefined) return form
    const posted = await this.ask(new URL(action, form.url).href, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ prompt: 'login', login: name, password: 'any' }).toString(),
    })
    return this.open(new URL(posted.headers.get('location')!, posted.url).href, until)
  }

  cookieFor(url: string): string {
    const { pathname } = new URL(url)
    return [...this.#cookies]
      .filter(([, { path }]) => pathname.startsWith(path))
      .map(([name, { value }]) => `${name}=${encodeURIComponent(value)}`)
      .join('; ')
  }

  #keep(text: string): void {
    this.set.push(text)
    const { name, value = '', maxAge, expires, path = '/' } = parseSetCookie(text)
    const isGone = maxAge !== undefined ? maxAge <= 0 : expires !== undefined && expires.getTime() < Date.now()
    if (isGone || value === '') this.#cookies.delete(name)
    else this.#cookies.set(name, { value, path })
  }

  /** One of those that it has. */
  cookie(name: string): string | undefined {
    return this.#cookies.get(name)?.value
  }

  /** As somebody's would be who has stolen or guessed it. */
  forge(cookies: string): void {
    for (const [name, value] of Object.entries(parseCookie(cookies)))
      this.#cookies.set(name, { value: value!, path: '/' })
  }
}
