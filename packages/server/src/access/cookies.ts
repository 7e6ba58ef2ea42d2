import { parseCookie, stringifySetCookie } from 'cookie'
import type { FastifyRequest } from 'fastify'

/** What a browser is told to keep: who it is of, or which sign-in it has begun. */
export type CookieName = 'session' | 'sign-in'

/**
 * Over HTTPS the browser itself sees to it that no other name of the same domain has set it (`__Host-`). It is one cookie for each way
 * of coming here, so that what was set over HTTP never counts over HTTPS.
 */
function nameOf(name: CookieName, isSecure: boolean): string {
  return `${isSecure ? '__Host-' : ''}tidemark-${name}`
}

/** @param origin  how the browser reaches this server */
export function cookieIn({ headers }: FastifyRequest, name: CookieName, origin: string): string | undefined {
  return headers.cookie === undefined ? undefined : parseCookie(headers.cookie)[nameOf(name, isSecure(origin))]
}

/** A `Set-Cookie` that no page's script reads and that other sites' requests do not carry, but for links that are followed. */
export function setCookie(name: CookieName, origin: string, value: string, maxAgeMs: number): string {
  return stringifySetCookie({
    name: nameOf(name, isSecure(origin)),
    value,
    path: '/',
    httpOnly: true,
    sameSite: 'lax',
    secure: isSecure(origin),
    maxAge: Math.floor(maxAgeMs / 1_000),
  })
}

export function clearCookie(name: CookieName, origin: string): string {
  return setCookie(name, origin, '', 0)
}

function isSecure(origin: string): boolean {
  return origin.startsWith('https:')
}
