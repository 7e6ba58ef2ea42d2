import { describe, expect, it } from 'vitest'
import { expositionFaults } from './exposition.js'

describe('what Prometheus would refuse, or promtool complain of', () => {
  const well = '# HELP tidemark_x_total X\n# TYPE tidemark_x_total counter\ntidemark_x_total{a="b\\"c"} 1\n'
  const buckets = (lines: string) => `# HELP tidemark_h_seconds H\n# TYPE tidemark_h_seconds histogram\n${lines}`
  const parts = 'tidemark_h_seconds_sum 1\ntidemark_h_seconds_count 2\n'

  it.each([
    ['', well],
    ['', buckets(`tidemark_h_seconds_bucket{le="1"} 1\ntidemark_h_seconds_bucket{le="+Inf"} 2\n${parts}`)],
    ['no line break', well.trimEnd()],
    ['no help', well.replace(/^# HELP.*\n/, '')],
    ['no type', well.replace(/^# TYPE.*\n/m, '')],
    ['twice', well + well.split('\n').at(-2)],
    ['said twice', well + well.replace('"b', '"d')],
    ['not together', `${well}# HELP tidemark_y Y\n# TYPE tidemark_y gauge\ntidemark_y 1\ntidemark_x_total{a="d"} 1\n`],
    ['without _total', well.replaceAll('_total', '')],
    ['no counter', well.replace('counter', 'gauge')],
    ['not a base unit', well.replaceAll('x_total', 'x_milliseconds_total')],
    ['not a base unit', well.replaceAll('x_total', 'x_ms_total')],
    ['not a base unit', well.replaceAll('x_total', 'x_mebibytes_total')],
    ['a type in its name', well.replaceAll('x_total', 'x_counter_total')],
    ['not in snake case', well.replaceAll('x_total', 'xY_total')],
    ['not in snake case', well.replaceAll('x_total', 'x:y_total')],
    ['a suffix of histograms', well.replaceAll('x_total', 'x_count').replace('counter', 'gauge')],
    ['not a sample', well.replace('\\"', '"')],
    ['not a sample', well.replace('} 1', '} one')],
    ['no bucket of +Inf', buckets(`tidemark_h_seconds_bucket{le="1"} 1\n${parts}`)],
    ['grow', buckets(`tidemark_h_seconds_bucket{le="1"} 3\ntidemark_h_seconds_bucket{le="+Inf"} 2\n${parts}`)],
    ['no sum', buckets('tidemark_h_seconds_bucket{le="+Inf"} 2\ntidemark_h_seconds_count 2\n')],
    ['not its count', buckets(`tidemark_h_seconds_bucket{le="+Inf"} 3\n${parts}`)],
    ['a label of histograms', well.replace('{a', '{le')],
  ])('is found: %s', (fault, text) => {
    const found = expositionFaults(text)
    if (fault === '') expect(found).toEqual([])
    else expect(found.join('\n')).toContain(fault)
  })
})
