import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'

const FILE = new URL('../docs/reliability.md', import.meta.url)

/** The figures of a run: printed as they come, and written into docs/reliability.md, each scenario in the place of its former self. */
export class Report {
  #sections = []
  failed = 0

  scenario(title, seed) {
    const section = { title, seed, lines: [] }
    this.#sections.push(section)
    console.log(`\n${title} (seed ${seed})`)
    return {
      /** A figure that is to be at most (or at least) `bound`. */
      goal: (text, figure, bound, kind = 'most') => {
        const isReached = kind === 'most' ? figure <= bound : figure >= bound
        if (!isReached) this.failed++
        this.#line(section, text, figure, `${kind === 'most' ? '≤' : '≥'} ${bound}`, isReached ? 'yes' : '**no**')
      },
      figure: (text, figure) => this.#line(section, text, figure, '', ''),
    }
  }

  #line(section, text, figure, bound, isReached) {
    const shown = typeof figure === 'number' ? round(figure).toLocaleString('en') : figure
    section.lines.push(`| ${text} | ${shown} | ${bound} | ${isReached} |`)
    console.log(`  ${isReached === '**no**' ? '×' : ' '} ${text}: ${shown}${bound ? ` (${bound})` : ''}`)
  }

  /** Replaces what was run now; what was not stays. */
  write(load) {
    const before = existsSync(FILE) ? readFileSync(FILE, 'utf8') : HEAD
    const text = this.#sections.reduce((page, section) => {
      const table = ['| figure | measured | bound | reached |', '| --- | ---: | ---: | --- |', ...section.lines].join(
        '\n',
      )
      return replaced(page, section.title, `${table}\n\n_${load}, seed ${section.seed}; ${machine()}._`)
    }, before)
    writeFileSync(FILE, text)
  }
}

const HEAD = `# What was done to it, and what it did

Written by runs of the faults on a real PostgreSQL, and on many processes with a real Redis:

\`\`\`sh
npm run chaos -- postgres
npm run chaos -- processes
npm run chaos -- service
\`\`\`

Processes with caches read at random while one writes; each row says how often it was written. A checker in a process of its own, with a
connection of its own, judges every answer: *Stale(T)* is an answer that is not called stale, to a read that began more than T after
a version was acknowledged to its writer, and that shows an older one. At the end everything that is kept is compared with the database.
With 0 stale of n reads, 3/n is what the sample supports at 95 %.
`

/** A section stands between its title and the next one. */
function replaced(page, title, body) {
  const section = `## ${title}\n\n${body}\n`
  const from = page.indexOf(`## ${title}\n`)
  if (from < 0) return `${page.trimEnd()}\n\n${section}`
  const next = page.indexOf('\n## ', from + 1)
  return page.slice(0, from) + section + (next < 0 ? '' : page.slice(next))
}

function round(figure) {
  return Number.isInteger(figure) ? figure : Number(figure.toPrecision(3))
}

function machine() {
  const gigabytes = Math.round(totalmem() / 2 ** 30)
  return `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${gigabytes} GB, Node ${process.versions.node}`
}
