import type { Command } from 'commander'
import { ServiceDownError, ServiceProblemError, UsageError } from './errors.js'
import { secretOf } from './secret.js'
import type { Terminal } from './terminal.js'

const DEFAULT_SERVER = 'http://127.0.0.1:9400'
/** An answer that does not come. A long list takes seconds; an invalidation waits 10 s at most until it is applied. */
const ANSWER_MAX_MS = 60_000

/** Options of the commands that ask a running server. */
export interface ServiceOptions {
  readonly server?: string
  readonly tenant?: string
  readonly json?: true
}

/** What is sent: undefined is left out. */
export interface Question {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly body?: object
}

/** A running server, as its HTTP API has it (docs/http.md). */
export interface Service {
  readonly url: string
  /** @throws ServiceDownError; ServiceProblemError with what the server refuses it for */
  ask<Answer>(path: string, question?: Question): Promise<Answer>
}

/** The options that say which server, and whose entries. */
export function onService(command: Command): Command {
  return onServer(command).option('--tenant <name>', 'whose entries are meant (default: TIDEMARK_TENANT, else default)')
}

/** The options that say which server. A token is in no option: others of the machine can read those. */
export function onServer(command: Command): Command {
  return command
    .option('--server <address>', `the server (default: TIDEMARK_SERVER, else ${DEFAULT_SERVER})`)
    .option('--json', 'print JSON')
}

/** @throws UsageError if the address or the token's file is none */
export function serviceOf({ server, tenant }: ServiceOptions, { env }: Terminal): Service {
  const url = addressOf(server ?? (env.TIDEMARK_SERVER || DEFAULT_SERVER))
  const named = tenant ?? (env.TIDEMARK_TENANT || undefined)
  const token = secretOf(env, 'TIDEMARK_TOKEN')
  const headers = {
    accept: 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  }
  return {
    url,
    async ask<Answer>(path: string, { method = 'GET', query = {}, body }: Question = {}): Promise<Answer> {
      const target = new URL(`${url}${path}`)
      for (const [name, value] of Object.entries({ ...query, ...tenantFor(path, named) }))
        if (value !== undefined) target.searchParams.set(name, String(value))
      const sent = body === undefined ? {} : { body: JSON.stringify(body) }
      const response = await answerOf(url, target, {
        method,
        headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
        ...sent,
      })
      return read(url, response) as Promise<Answer>
    },
  }
}

/** What concerns the process has no tenant, and is refused with one. */
function tenantFor(path: string, tenant: string | undefined): { tenant?: string } {
  return tenant === undefined || /^\/(?:health|api\/(?:metrics|cluster))/.test(path) ? {} : { tenant }
}

async function answerOf(url: string, target: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(target, { ...init, redirect: 'error', signal: AbortSignal.timeout(ANSWER_MAX_MS) })
  } catch (cause) {
    throw new ServiceDownError(url, reasonOf(cause), { cause })
  }
}

async function read(url: string, response: Response): Promise<unknown> {
  const text = await response.text().catch((cause: unknown) => {
    throw new ServiceDownError(url, reasonOf(cause), { cause })
  })
  const body = parsed(text)
  if (response.ok && body !== undefined) return body
  const { code, detail, errors } = (body ?? {}) as Partial<{ code: string; detail: string; errors: ParameterProblem[] }>
  if (typeof code === 'string' && typeof detail === 'string')
    throw new ServiceProblemError(code, response.status, withErrors(detail, errors ?? []))
  throw new ServiceDownError(url, `it answers ${response.status}, and not as Tidemark does`)
}

interface ParameterProblem {
  readonly parameter: string
  readonly message: string
}

function withErrors(detail: string, errors: readonly ParameterProblem[]): string {
  const more = errors.filter(({ message }) => !detail.includes(message))
  return [detail, ...more.map(({ parameter, message }) => `${parameter} ${message}`)].join('\n  ')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function addressOf(text: string): string {
  const isAddress = URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
  if (isAddress) return text.replace(/\/+$/, '')
  throw new UsageError(`--server or TIDEMARK_SERVER is an address like ${DEFAULT_SERVER}.`)
}

function reasonOf(error: unknown): string {
  const { name, message, cause } = error as Error
  if (name === 'TimeoutError') return `it has not answered within ${ANSWER_MAX_MS / 1_000} s`
  const inner = cause as (Error & { code?: string }) | undefined
  return inner?.code ?? inner?.message ?? message
}
