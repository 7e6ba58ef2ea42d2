import type { Command } from 'commander'
import { UsageError } from '../errors.js'
import { onService, type ServiceOptions, serviceOf } from '../service.js'
import type { Terminal } from '../terminal.js'

interface InvalidateOptions extends ServiceOptions {
  readonly tag?: readonly string[]
  readonly dependency?: readonly string[]
  readonly pattern?: string
  readonly syntax?: string
  readonly soft?: true
  readonly dryRun?: true
  readonly local?: true
  readonly reason?: string
  readonly requestId?: string
}

/** What of the answer is printed; --json prints all of it. */
interface Answer {
  readonly request_id?: string
  readonly invalidated_count: number
  readonly matched_keys?: readonly string[]
  readonly removed?: { readonly l1: number | null; readonly l2?: number | null }
  readonly dependents?: { readonly count: number }
  readonly refill?: { readonly loads: number; readonly source_seconds: number }
  readonly position?: string
  readonly latency_ms?: number
}

const SHOWN_MAX = 20

/** `tidemark invalidate`: the change is in the log, and applied by the server that was asked, when it ends. */
export function invalidateCommand(program: Command, terminal: Terminal): void {
  onService(program.command('invalidate').summary('invalidate keys, tags, or what a pattern matches'))
    .description(
      'Invalidates keys, tags and what depends on them, or all that a pattern matches: in every process and tier.\n' +
        'With --dry-run it changes nothing, and says what would go.',
    )
    .argument('[key...]', 'for example user:7 user:8')
    .option('--tag <tag...>', 'all that has the tag')
    .option('--dependency <key...>', 'all that depends on the key')
    .option('--pattern <pattern>', 'all that matches: user:*, *:draft, or a regular expression with --syntax regex')
    .option('--syntax <syntax>', 'of the pattern: glob or regex')
    .option('--soft', 'mark it expired, so that it may be served by grace until it is loaded anew')
    .option('--dry-run', 'change nothing; say what would go')
    .option('--local', 'only take it out of the memory of the server that is asked')
    .option('--reason <text>', 'why: the journal has it')
    .option('--request-id <id>', 'done once for each id, however often it is asked')
    .action(async (keys: readonly string[], options: InvalidateOptions) => {
      const service = serviceOf(options, terminal)
      const answer = await service.ask<Answer>(pathOf(options), {
        method: 'POST',
        query: options.local ? { local: true } : {},
        body: { ...namedOf(keys, options), ...howOf(options) },
      })
      terminal.out(options.json ? `${JSON.stringify(answer, undefined, 2)}\n` : sentenceOf(answer, options))
    })
}

function pathOf({ pattern }: InvalidateOptions): string {
  return pattern === undefined ? '/api/invalidate' : '/api/invalidate/pattern'
}

function namedOf(keys: readonly string[], { tag, dependency, pattern, syntax }: InvalidateOptions): object {
  const isNamed = keys.length > 0 || tag !== undefined || dependency !== undefined
  if (pattern !== undefined && isNamed)
    throw new UsageError('--pattern stands alone: ask for keys and tags by themselves.')
  if (pattern !== undefined) return { pattern, ...(syntax === undefined ? {} : { syntax }) }
  if (!isNamed) throw new UsageError('Say what: keys, --tag, --dependency or --pattern.')
  return {
    ...(keys.length === 0 ? {} : { keys }),
    ...(tag === undefined ? {} : { tags: tag }),
    ...(dependency === undefined ? {} : { dependencies: dependency }),
  }
}

function howOf({ soft, dryRun, reason, requestId }: InvalidateOptions): object {
  return {
    mode: soft ? 'soft' : 'hard',
    dryRun: dryRun ?? false,
    ...(reason === undefined ? {} : { cause: reason }),
    ...(requestId === undefined ? {} : { request_id: requestId }),
  }
}

function sentenceOf(answer: Answer, { dryRun, soft, local }: InvalidateOptions): string {
  const { invalidated_count: count, matched_keys: matched = [], dependents, refill, removed } = answer
  const keys = [...matched.slice(0, SHOWN_MAX).map((key) => `  ${JSON.stringify(key)}\n`)]
  if (matched.length > SHOWN_MAX) keys.push(`  … ${(count - SHOWN_MAX).toLocaleString('en')} more\n`)
  if (dryRun) {
    const here = removed?.l1 == null ? '' : `; ${removed.l1} of them are in the memory of the server`
    const cost =
      refill && `; loading it anew takes ${refill.loads} loads, ${refill.source_seconds.toFixed(3)} s of the source`
    return `Would invalidate ${amount(count)}, and ${dependents?.count ?? 0} that depend on them${here}${cost ?? ''}.\n${keys.join('')}`
  }
  const verb = soft ? 'Expired' : 'Invalidated'
  const where = local ? ' in this process only' : ''
  const gone = removed?.l1 == null ? '' : `; ${removed.l1} were in the memory of the server`
  return [
    `${verb} ${amount(count)}${where}${gone}. ${Math.round(answer.latency_ms ?? 0)} ms.\n`,
    ...keys,
    ...(answer.request_id === undefined ? [] : [`request  ${answer.request_id}\n`]),
    ...(answer.position === undefined ? [] : [`position ${answer.position}\n`]),
  ].join('')
}

function amount(count: number): string {
  return `${count.toLocaleString('en')} ${count === 1 ? 'key' : 'keys'}`
}
