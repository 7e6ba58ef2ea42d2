import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus, totalmem } from 'node:os'

const FILE = new URL('../../docs/benchmarks.md', import.meta.url)
const PEERS = ['lru-cache', 'cache-manager', 'cacheable', 'bentocache']

/** What was measured: printed as it comes, and written into docs/benchmarks.md, each table in the place of its former self. */
export class Page {
  #sections = []
  #goals = []
  #news = ''
  #hasGoals

  constructor({ hasGoals }) {
    this.#hasGoals = hasGoals
  }

  table(title, head, rows) {
    const lines = [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows]
    this.#section(title, lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n'))
  }

  /** A figure that is to be at most (or at least) `bound`. */
  goal(text, figure, bound, kind = 'most') {
    if (!this.#hasGoals) return
    const isReached = kind === 'most' ? figure <= bound : figure >= bound
    const line = `| ${text} | ${Number(figure.toPrecision(3))} | ${kind === 'most' ? '≤' : '≥'} ${bound} | ${isReached ? 'yes' : '**no**'} |`
    this.#goals.push({ text, line })
    this.#news += `${line}\n`
  }

  takeNews() {
    const news = this.#news
    this.#news = ''
    return news
  }

  /** Replaces what was measured now; what was not stays. */
  write() {
    let text = readFileSync(FILE, 'utf8')
    const machine = describeMachine()
    for (const { title, body } of this.#sections) text = between(text, title, `### ${title}\n\n${body}\n\n_${machine}_`)
    const goals = new Map(
      block(text, 'goals')
        .split('\n')
        .slice(2)
        .map((line) => [line.split(' | ')[0].slice(2), line]),
    )
    for (const { text: goal, line } of this.#goals) goals.set(goal, line)
    writeFileSync(
      FILE,
      between(
        text,
        'goals',
        ['| goal | measured | bound | reached |', '| --- | ---: | --- | --- |', ...goals.values()]
          .filter(Boolean)
          .join('\n'),
      ),
    )
  }

  #section(title, body) {
    this.#sections.push({ title, body })
    this.#news += `\n${title}\n${body}\n`
  }
}

export function describeMachine() {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor'
  const memory = Math.round(totalmem() / 2 ** 30)
  const date = new Date().toISOString().slice(0, 10)
  const versions = PEERS.map((name) => `${name} ${versionOf(name)}`).join(', ')
  return `${date}, Node ${process.versions.node}, ${availableParallelism()} cores of ${model}, ${memory} GB; ${versions}`
}

function versionOf(name) {
  // Some packages do not export their package.json.
  const main = createRequire(import.meta.url).resolve(name)
  const root = main.slice(0, main.lastIndexOf(`/node_modules/${name}/`) + `/node_modules/${name}/`.length)
  return JSON.parse(readFileSync(`${root}package.json`, 'utf8')).version
}

/** What stands between the markers of a name, or ''. */
function block(text, name) {
  const [begin, end] = markers(name)
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  return from < 0 || to < 0 ? '' : text.slice(from + begin.length, to).trim()
}

function between(text, name, body) {
  const [begin, end] = markers(name)
  const whole = `${begin}\n${body}\n${end}`
  const from = text.indexOf(begin)
  if (from < 0) return `${text.trimEnd()}\n\n${whole}\n`
  return text.slice(0, from) + whole + text.slice(text.indexOf(end) + end.length)
}

function markers(name) {
  return [`<!-- measured: ${name} -->`, `<!-- end: ${name} -->`]
}
