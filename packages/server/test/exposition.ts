/** A family of metrics: what HELP, TYPE and samples say, under one name. */
interface Family {
  type?: string
  isHelped: boolean
  readonly samples: Sample[]
}

interface Sample {
  readonly name: string
  /** As they are written, `le` left out. */
  readonly labels: string
  readonly le?: string
  readonly value: number
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"'
const SAMPLE = new RegExp(
  `^(${NAME})(?:\\{((?:${LABEL},)*(?:${LABEL})?)\\})? ([+-]?(?:\\d+\\.?\\d*(?:e[+-]?\\d+)?|Inf)|NaN)$`,
)

const TYPES = new Set(['counter', 'gauge', 'histogram', 'summary', 'info'])
/** Abbreviated, or multiples of what Prometheus counts in: seconds, bytes, ratios, metres, grams, degrees Celsius. */
const OTHER_UNITS =
  /^(?:(?:nano|micro|milli|kilo|mega|giga|tera|kibi|mebi|gibi)(?:seconds?|bytes?|metr?es?|meters?|grams?)|s|ms|us|ns|sec|b|kb|mb|gb|kib|mib|gib|bits?|minutes?|mins?|hours?|days?|weeks?|percent|percents?|fahrenheit|kelvin)$/

/**
 * What Prometheus would refuse in a text of metrics (format 0.0.4), and `promtool check metrics` complain of. The real one found nothing
 * in ours either; it comes with all of Prometheus, which tests need not install.
 */
export function expositionFaults(text: string): string[] {
  const faults: string[] = text.endsWith('\n') ? [] : ['no line break at the end']
  const families = new Map<string, Family>()
  const seen = new Set<string>()
  let last = ''
  for (const line of text.split('\n').filter(Boolean)) {
    const [, kind, subject = '', rest] = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`).exec(line) ?? []
    if (!kind && line.startsWith('#')) faults.push(`a strange comment: ${line}`)
    const sample = line.startsWith('#') ? undefined : sampleOf(line)
    if (!kind && !sample) {
      faults.push(`not a sample: ${line}`)
      continue
    }
    const name = sample ? familyOf(sample.name, families) : subject
    const family = families.get(name) ?? { isHelped: false, samples: [] }
    if (families.has(name) && last !== name) faults.push(`not together: ${name}`)
    families.set(name, family)
    last = name
    if (kind === 'HELP' && family.isHelped) faults.push(`said twice: ${line}`)
    if (kind === 'TYPE' && family.type !== undefined) faults.push(`said twice: ${line}`)
    if (kind === 'HELP') family.isHelped = true
    if (kind === 'TYPE') {
      family.type = rest!
      if (family.samples.length > 0) faults.push(`a type behind its samples: ${name}`)
    }
    if (!sample) continue
    if (seen.has(line.slice(0, line.lastIndexOf(' ')))) faults.push(`twice: ${line}`)
    seen.add(line.slice(0, line.lastIndexOf(' ')))
    family.samples.push(sample)
  }
  return [...faults, ...[...families].flatMap(([name, family]) => familyFaults(name, family))]
}

function sampleOf(line: string): Sample | undefined {
  const [, name, labels = '', value = ''] = SAMPLE.exec(line) ?? []
  if (name === undefined) return undefined
  const all = labels.match(new RegExp(LABEL, 'g')) ?? []
  const le = all.find((label) => label.startsWith('le='))?.slice(4, -1)
  return {
    name,
    labels: all.filter((label) => !label.startsWith('le=')).join(),
    ...(le === undefined ? {} : { le }),
    value: numberOf(value),
  }
}

function numberOf(text: string): number {
  return Number(text.replace('Inf', 'Infinity'))
}

function familyOf(name: string, families: ReadonlyMap<string, Family>): string {
  const base = name.replace(/_(?:bucket|sum|count)$/, '')
  return families.get(base)?.type === 'histogram' ? base : name
}

function familyFaults(name: string, { type, isHelped, samples }: Family): string[] {
  const faults: string[] = []
  if (!name.startsWith('tidemark_')) faults.push(`no prefix: ${name}`)
  if (!isHelped) faults.push(`no help: ${name}`)
  if (type === undefined) faults.push(`no type: ${name}`)
  if (type === 'counter' && !name.endsWith('_total')) faults.push(`a counter without _total: ${name}`)
  if (type !== 'counter' && name.endsWith('_total')) faults.push(`_total, and no counter: ${name}`)
  const words = name.split('_')
  if (words.some((word) => OTHER_UNITS.test(word))) faults.push(`not a base unit: ${name}`)
  if (words.some((word) => TYPES.has(word) && word !== 'info')) faults.push(`a type in its name: ${name}`)
  if (/[:A-Z]/.test(name)) faults.push(`not in snake case: ${name}`)
  if (type !== 'histogram' && /_(?:bucket|count|sum)$/.test(name)) faults.push(`a suffix of histograms: ${name}`)
  if (type === 'histogram') return [...faults, ...histogramFaults(name, samples)]
  if (samples.some(({ le }) => le !== undefined)) faults.push(`a label of histograms: ${name}`)
  return faults
}

function histogramFaults(name: string, samples: readonly Sample[]): string[] {
  return [...new Set(samples.map(({ labels }) => labels))].flatMap((labels) => {
    const own = samples.filter((sample) => sample.labels === labels)
    const one = (part: string) => own.find((sample) => sample.name === `${name}_${part}`)?.value
    const buckets = own.filter((sample) => sample.name === `${name}_bucket`)
    const places = buckets.map(({ le = '' }) => numberOf(le))
    const faults: string[] = []
    if (places.at(-1) !== Number.POSITIVE_INFINITY) faults.push(`no bucket of +Inf at the end: ${name}{${labels}}`)
    const grows = buckets.every(
      ({ value }, i) => i === 0 || (value >= buckets[i - 1]!.value && places[i]! > places[i - 1]!),
    )
    if (!grows) faults.push(`buckets that do not grow: ${name}{${labels}}`)
    if (one('sum') === undefined) faults.push(`no sum: ${name}{${labels}}`)
    if (one('count') !== buckets.at(-1)?.value) faults.push(`all of its buckets are not its count: ${name}{${labels}}`)
    return faults
  })
}
