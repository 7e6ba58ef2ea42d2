import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { lacks } from '../../../test/machine.js'
import { differencesOf, termsOf } from '../src/cluster/terms.js'
import type { Config } from '../src/config/config.js'
import { parseConfig } from '../src/config/load.js'

// What deploy/ says, as far as it can be checked where no engine runs containers: its form, what it names, and that the blog can use it.

const root = new URL('../../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const SECRETS = { POSTGRES_PASSWORD: 'drawn-for-this-test', TIDEMARK_SECRET: 'drawn-for-this-test' }

interface Service {
  readonly image: string
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly network_mode?: string
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: { readonly test: readonly string[] }
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, null>>
}

function composeOf(file: string): Compose {
  return parse(read(`deploy/${file}`), { merge: true }) as Compose
}

/** As compose fills in `${NAME:?message}`; anything else is not used. */
function filled(text: string): string {
  const done = text.replace(/\$\{(\w+):\?[^}]*\}/g, (_, name: string) => SECRETS[name as keyof typeof SECRETS] ?? '')
  expect(done).not.toContain('$')
  return done
}

function blogsOf({ services }: Compose): [string, Service][] {
  return Object.entries(services).filter(([, { build }]) => build !== undefined)
}

function configOf({ environment = {} }: Service): Config {
  const env = Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, filled(value)]))
  return parseConfig(read('examples/blog/tidemark.yaml'), 'tidemark.yaml', env)
}

const portOf = ({ command = [] }: Service): number => Number(command[command.indexOf('--port') + 1])

describe.each([
  { file: 'compose.yaml', processes: 1, proxy: 'haproxy.cfg' },
  { file: 'compose.distributed.yaml', processes: 4, proxy: 'haproxy.distributed.cfg' },
])('deploy/$file', ({ file, processes, proxy }) => {
  const compose = composeOf(file)
  const { services } = compose

  it('names only what there is: services, volumes, files, conditions that can be met', () => {
    for (const service of Object.values(services)) {
      expect(service.image).toMatch(/^[\w/-]+(?::[\d.]+)?$/)
      for (const [name, { condition }] of Object.entries(service.depends_on ?? {})) {
        expect(Object.keys(services)).toContain(name)
        if (condition === 'service_healthy') expect(services[name]!.healthcheck).toBeDefined()
      }
      for (const volume of service.volumes ?? []) {
        const [source] = volume.split(':') as [string]
        if (source.startsWith('./')) expect(existsSync(new URL(`deploy/${source}`, root)), source).toBe(true)
        else expect(Object.keys(compose.volumes)).toContain(source)
      }
      if (service.build) expect(existsSync(new URL(service.build.dockerfile, root))).toBe(true)
      const [, shared] = /^service:(.*)$/.exec(service.network_mode ?? '') ?? []
      if (shared !== undefined) expect(Object.keys(services)).toContain(shared)
    }
  })

  it('starts the blog with a configuration that it can use, and in which its processes agree', () => {
    const blogs = blogsOf(compose)
    expect(blogs.length).toBe(processes)
    const [first, ...others] = blogs.map(([, service]) => configOf(service))
    for (const other of others) expect(differencesOf(termsOf(first!), termsOf(other))).toEqual([])
    expect(first!.source.url).toContain('@postgres:5432/')
    // It can be reached by nobody but the proxy.
    for (const [, service] of blogs) {
      expect(service.network_mode).toBe('service:proxy')
      expect(configOf(service).server.host).toBe('127.0.0.1')
    }
    expect(Object.keys(services).includes('redis')).toBe(first!.relay.redis !== undefined)
    // What is set is what the configuration reads.
    const used = [...read('examples/blog/tidemark.yaml').matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name)
    for (const [, { environment = {} }] of blogs)
      for (const name of Object.keys(environment)) expect(used).toContain(name)
  })

  it('asks each process for its health where it listens, and the proxy knows them all', () => {
    const ports = blogsOf(compose).map(([, service]) => portOf(service))
    expect(new Set(ports).size).toBe(processes)
    for (const [, service] of blogsOf(compose))
      expect(service.healthcheck!.test.join(' ')).toContain(`http://127.0.0.1:${portOf(service)}/health`)
    const servers = [...read(`deploy/${proxy}`).matchAll(/^ {2}server \S+ 127\.0\.0\.1:(\d+) /gm)]
    expect(servers.map(([, port]) => Number(port))).toEqual(ports)
    expect(services['proxy']!.volumes![0]).toContain(`./${proxy}:`)
    // Published on this machine only, at the address by which the processes let requests in.
    const [, service] = blogsOf(compose)[0]!
    expect(services['proxy']!.ports).toEqual(['127.0.0.1:8080:8080'])
    expect(service.environment!['TIDEMARK_ADDRESS']).toBe('http://127.0.0.1:8080')
  })

  it('has no secret of its own', () => {
    expect(read(`deploy/${file}`)).not.toMatch(/(?:PASSWORD|SECRET): (?!\$\{)/)
    expect(read(`deploy/${file}`)).not.toMatch(/:\/\/\w+:(?!\$\{)\w+@/)
  })

  it('has the configuration of HAProxy that the demo has', async () => {
    const generator = '../../../examples/blog/distributed/haproxy.js'
    const { haproxyConfig } = (await import(generator)) as { haproxyConfig(options: object): string }
    const ports = blogsOf(compose).map(([, service]) => portOf(service))
    expect(read(`deploy/${proxy}`)).toBe(haproxyConfig({ port: 8080, processes: ports, bind: '*' }))
  })

  it.skipIf(lacks('haproxy'))('has one that HAProxy takes (needs haproxy)', () => {
    execFileSync('haproxy', ['-c', '-f', fileURLToPath(new URL(`deploy/${proxy}`, root))], { stdio: 'pipe' })
  })
})

it('the Dockerfile takes a version of Node that is supported, runs as no root, and starts a program that is there', () => {
  const lines = read('deploy/Dockerfile')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  const known = /^(?:FROM|WORKDIR|COPY|RUN|ENV|USER|CMD) /
  expect(lines.filter((line) => !known.test(line))).toEqual([])
  for (const [, major] of lines.join('\n').matchAll(/^FROM node:(\d+)-/gm))
    expect(Number(major)).toBeGreaterThanOrEqual(20)
  expect(lines.findLast((line) => line.startsWith('USER'))).toBe('USER node')
  const [, program] = JSON.parse(lines.at(-1)!.replace('CMD ', '')) as [string, string]
  expect(existsSync(new URL(program, root))).toBe(true)
  expect(readdirSync(new URL('deploy/', root))).toContain('Dockerfile.dockerignore')
})
