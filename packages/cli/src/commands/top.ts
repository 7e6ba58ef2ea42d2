import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { UsageError } from '../errors.js'
import { onServer, type Service, type ServiceOptions, serviceOf } from '../service.js'
import { formatResult } from '../table.js'
import { painter, type Terminal } from '../terminal.js'

interface TopOptions extends Omit<ServiceOptions, 'tenant'> {
  readonly interval: string
  readonly count?: string
}

interface Metrics {
  readonly hits: number
  readonly misses: number
  readonly entries: number
  readonly bytes: number
  readonly counters: Readonly<Record<string, unknown>>
  readonly log: { readonly state: string; readonly reason: string; readonly position?: string }
  readonly current: boolean
  readonly invalidations: { readonly requests: number }
}

interface Cluster {
  readonly processes: readonly {
    readonly self: boolean
    readonly pid: number
    readonly host: string
    readonly address: string | null
    readonly role: string
    readonly log: string
    readonly current: boolean
    readonly lagBytes: number | null
  }[]
}

/** What went on between two looks. */
interface Look {
  readonly time: string
  readonly hitsPerSecond: number
  readonly missesPerSecond: number
  /** Of the reads in between; null: there were none. */
  readonly hitRatio: number | null
  readonly loadsPerSecond: number
  readonly changesPerSecond: number
  readonly invalidatedPerSecond: number
  readonly requestsPerSecond: number
  readonly entries: number
  readonly bytes: number
  readonly log: string
  readonly reason: string
  readonly current: boolean
  readonly position: string | null
  readonly processes: Cluster['processes']
}

const HOME = '\u001b[H\u001b[J'

/** `tidemark top`: what a server is doing, again and again. */
export function topCommand(program: Command, terminal: Terminal): void {
  onServer(program.command('top').summary('watch what a server is doing'))
    .description(
      'Shows reads, loads and invalidations a second, and the processes with their lag. In a terminal it writes over itself;\n' +
        'elsewhere it prints a line each time.',
    )
    .option('--interval <seconds>', 'between two looks', '1')
    .option('--count <number>', 'how often (default: until Ctrl-C)')
    .action(async ({ interval, count, ...options }: TopOptions) => {
      const service = serviceOf(options, terminal)
      const everyMs = toNumber('--interval', interval, 0.1, 3_600) * 1_000
      const times = count === undefined ? Number.POSITIVE_INFINITY : toNumber('--count', count, 1, 1e9)
      await watch(service, terminal, everyMs, times, options.json ?? false)
    })
}

async function watch(
  service: Service,
  terminal: Terminal,
  everyMs: number,
  times: number,
  isJson: boolean,
): Promise<void> {
  const { stopped } = terminal
  let before = await metricsOf(service)
  for (let shown = 0; shown < times; shown++) {
    await sleep(everyMs, undefined, { signal: stopped }).catch(() => {})
    if (stopped.aborted) return
    const [after, cluster] = await Promise.all([metricsOf(service), service.ask<Cluster>('/api/cluster')])
    const look = lookOf(before, after, cluster)
    if (isJson) terminal.out(`${JSON.stringify(look)}\n`)
    else terminal.out(terminal.isTerminal ? HOME + pageOf(service, look, terminal) : `${lineOf(look)}\n`)
    before = after
  }
}

type Sample = Metrics & { readonly at: number }

async function metricsOf(service: Service): Promise<Sample> {
  const metrics = await service.ask<Metrics>('/api/metrics')
  return { ...metrics, at: performance.now() }
}

function lookOf(before: Sample, after: Sample, { processes }: Cluster): Look {
  const seconds = Math.max(after.at - before.at, 1) / 1_000
  // A server that was started anew in between begins at nothing.
  const since = (from: number, to: number) => (to >= from ? to - from : to)
  const rate = (from: number, to: number) => since(from, to) / seconds
  const counted = (name: string) => rate(numberOf(before.counters[name]), numberOf(after.counters[name]))
  const hits = since(before.hits, after.hits)
  const reads = hits + since(before.misses, after.misses)
  return {
    time: new Date().toISOString(),
    hitsPerSecond: rate(before.hits, after.hits),
    missesPerSecond: rate(before.misses, after.misses),
    hitRatio: reads === 0 ? null : hits / reads,
    loadsPerSecond: counted('loads'),
    changesPerSecond: counted('changes'),
    invalidatedPerSecond: counted('invalidated'),
    requestsPerSecond: rate(before.invalidations.requests, after.invalidations.requests),
    entries: after.entries,
    bytes: after.bytes,
    log: after.log.state,
    reason: after.log.reason,
    current: after.current,
    position: after.log.position ?? null,
    processes,
  }
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0
}

function lineOf(look: Look): string {
  const { time, entries, log, current, processes } = look
  const lag = Math.max(0, ...processes.map(({ lagBytes }) => lagBytes ?? 0))
  return [
    time,
    `reads ${whole(look.hitsPerSecond + look.missesPerSecond)}/s`,
    `hits ${percent(look.hitRatio)}`,
    `loads ${whole(look.loadsPerSecond)}/s`,
    `invalidated ${whole(look.invalidatedPerSecond)}/s`,
    `entries ${whole(entries)}`,
    `log ${log}`,
    current ? 'current' : 'not current',
    `processes ${processes.length}`,
    `lag ${whole(lag)} B`,
  ].join('  ')
}

function pageOf({ url }: Service, look: Look, terminal: Terminal): string {
  const paint = painter(terminal)
  const state = paint(look.log === 'following' ? 'green' : 'yellow', look.log)
  const current = look.current ? paint('green', 'current') : paint('red', 'not current')
  const rows = [
    ['reads/s', whole(look.hitsPerSecond + look.missesPerSecond), 'hits', percent(look.hitRatio)],
    ['loads/s', whole(look.loadsPerSecond), 'entries', whole(look.entries)],
    ['changes/s', whole(look.changesPerSecond), 'MB', (look.bytes / 2 ** 20).toFixed(1)],
    ['invalidated/s', whole(look.invalidatedPerSecond), 'requests/s', whole(look.requestsPerSecond)],
  ]
  const figures = rows.map(
    ([a, b, c, d]) => `  ${a!.padEnd(14)}${b!.padStart(12)}    ${c!.padEnd(12)}${d!.padStart(12)}`,
  )
  const table = formatResult({
    tag: '',
    columns: ['process', 'role', 'log', 'current', 'lag, B'].map((name) => ({ name, isNumber: name === 'lag, B' })),
    rows: look.processes.map(({ self, pid, host, address, role, log, current: isCurrent, lagBytes }) => [
      `${self ? '*' : ' '} ${address ?? host} (${pid})`,
      role,
      log,
      isCurrent ? 'yes' : 'no',
      lagBytes === null ? null : whole(lagBytes),
    ]),
  })
  const head = `${paint('bold', url)}  ${state}  ${current}  ${paint('dim', look.position ?? '')}`
  return `${[head, ...(look.reason ? [paint('yellow', look.reason)] : []), '', ...figures, ''].join('\n')}\n${table}`
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}

function percent(ratio: number | null): string {
  return ratio === null ? '-' : `${(ratio * 100).toFixed(1)} %`
}

function toNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (/^\d+(?:\.\d+)?$/.test(text) && value >= least && value <= most) return value
  throw new UsageError(`${option} is a number from ${least} to ${most}.`)
}
