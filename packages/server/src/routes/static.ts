import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { OptionError } from 'tidemark'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
}
/** A page runs its own files and asks its own server, and nothing else; nobody frames it. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
  "connect-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
const FILES_MAX = 1_000
const BYTES_MAX = 32 * 2 ** 20

/** Serves the files of a folder, below `at`, as they were when the server started: a path that was no file then is no path. */
export function staticRoutes(app: FastifyInstance, folder: string | URL, at = ''): void {
  const root = typeof folder === 'string' ? folder : fileURLToPath(folder)
  for (const { path: own, body, type, etag } of filesOf(root)) {
    const path = at + own
    const urls = path.endsWith('/index.html') ? [path, path.slice(0, -'index.html'.length)] : [path]
    for (const url of urls) {
      app.get(url, { config: { action: 'open' }, schema: { hide: true } }, (request, reply) => {
        reply.headers({
          etag,
          'cache-control': 'no-cache',
          'content-type': type,
          'content-security-policy': PAGE_POLICY,
        })
        return request.headers['if-none-match'] === etag ? reply.code(304).send() : reply.send(body)
      })
    }
  }
}

function filesOf(root: string) {
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) => join(root, name))
  const files = paths.filter(
    (path) =>
      statSync(path).isFile() &&
      !relative(root, path)
        .split(sep)
        .some((part) => part.startsWith('.')),
  )
  const bytes = files.reduce((sum, path) => sum + statSync(path).size, 0)
  if (files.length > FILES_MAX || bytes > BYTES_MAX) {
    throw new OptionError(
      `static: ${root} holds more than ${FILES_MAX} files or ${BYTES_MAX / 2 ** 20} MiB. Name the folder of the page alone.`,
    )
  }
  return files.map((file) => {
    const body = readFileSync(file)
    const etag = `"${createHash('sha256').update(body).digest('hex').slice(0, 32)}"`
    return {
      path: `/${relative(root, file).split(sep).map(encodeURIComponent).join('/')}`,
      body,
      type: TYPES[extname(file)] ?? 'application/octet-stream',
      etag,
    }
  })
}
