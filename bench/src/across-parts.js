import { bareSpread, bulkAcross, cutOff, invalidatedAcross, missesAcross, spread, tiersAcross } from './across.js'
import { withDatabase } from './database.js'
import { median, runAlone } from './measure.js'

/** The parts that need a Redis: what several processes share. */
export const acrossParts = ({ page, scale }) => ({
  async misses() {
    const loads = await missesAcross(scale.missRounds)
    page.table(
      '1,000 reads of a missing key at once, from four processes that share an L2 in Redis',
      ['rounds', 'loader runs, median', 'at most'],
      [[loads.length, median(loads), Math.max(...loads)].map(String)],
    )
    page.goal('1,000 misses across four processes: loader runs, at most', Math.max(...loads), 1)
  },

  spread: () =>
    withDatabase({ isDurable: false }, async ({ url, version }) => {
      const at = { rate: 1_000, seconds: scale.rateSeconds }
      const alone = { ...at, isRelayed: false }
      const relayed = { ...at, isRelayed: true }
      const [bareOne, one] = [await bareSpread(url, 1, alone), await spread(url, 1, alone)]
      const [bareFour, four] = [await bareSpread(url, 4, alone), await spread(url, 4, alone)]
      const [bareRelay, relay] = [await bareSpread(url, 4, relayed), await spread(url, 4, relayed)]
      const line = (name, figures, bare) => [
        name,
        figures.rate.toFixed(0),
        ...[
          figures.p50,
          figures.p99,
          figures.p50 / bare.p50,
          figures.p99 / bare.p99,
          figures.p50 / figures.any.p50,
          figures.p99 / figures.any.p99,
        ].map((figure) => figure.toFixed(2)),
      ]
      page.table(
        'From a commit to the last process that dropped what it touched',
        [
          `PostgreSQL ${version}`,
          'commits/s',
          'p50 ms',
          'p99 ms',
          'p50 × bare',
          'p99 × bare',
          'p50 × one of them',
          'p99 × one of them',
        ],
        [
          line('a bare pgoutput connection', bareOne, bareOne),
          line('one process', one, bareOne),
          line('four bare pgoutput connections', bareFour, bareFour),
          line('four processes, each reads the log', four, bareFour),
          line('the bare way of a relay: pgoutput → XADD → three loops of XREAD', bareRelay, bareRelay),
          line('four processes: one reads the log, and relays it in Redis', relay, bareRelay),
        ],
      )
      page.table(
        'The process that reads the log for all is killed',
        ['', 'ms'],
        [['until another one leads', relay.failoverMs.toFixed(0)]],
      )
      for (const [way, all] of [
        ['each reads the log', four],
        ['relayed', relay],
      ]) {
        page.goal(`1,000 commits/s, ${way}: all of four p50 ≤ 2 × any one of them`, all.p50 / all.any.p50, 2)
        page.goal(`1,000 commits/s, ${way}: p99 ≤ 3 × any one of them`, all.p99 / all.any.p99, 3)
        page.goal(`1,000 commits/s, ${way}: all of four p50 ≤ 2 × one process`, all.p50 / one.p50, 2)
        page.goal(`1,000 commits/s, ${way}: p99 ≤ 3 × one process`, all.p99 / one.p99, 3)
      }
      page.goal('another process leads after, s', relay.failoverMs / 1_000, 3)
    }),

  resume: () =>
    withDatabase({ isDurable: false }, async ({ url }) => {
      const { ms, commits, gaps } = await cutOff(url, scale.cutSeconds)
      page.table(
        `A process is cut off from Redis for ${scale.cutSeconds} s, while others commit`,
        ['commits that it missed', 'ms from the end of the cut until it has applied them', 'gaps'],
        [[String(commits), ms.toFixed(0), String(gaps)]],
      )
      page.goal('a process that was cut off for 60 s is there again after, s', ms / 1_000, 1)
      page.goal('gaps that it found', gaps, 0)
    }),

  async l2() {
    const seen = await tiersAcross(Math.min(scale.rounds, 3), scale.tierEntries)
    for (const [what, title] of [
      ['read', 'A hit in Redis'],
      ['write', 'A value stored in Redis'],
    ]) {
      const figures = seen[what]
      const perSecond = (name) => figures.get(name).perSecond
      page.table(
        `${title}, 64 in flight`,
        ['', 'operations/s', 'µs of the processor', 'µs one after the other', '× ioredis', '× bentocache'],
        [...figures].map(([name, { perSecond: own, cpuUs, aloneUs }]) => [
          name,
          own.toFixed(0),
          cpuUs.toFixed(1),
          aloneUs.toFixed(0),
          (own / perSecond('ioredis')).toFixed(2),
          (own / perSecond('bentocache')).toFixed(2),
        ]),
      )
      const own = perSecond('tidemark redisL2')
      const least = what === 'read' ? 2.3 : 2.5
      page.goal(`${title}: ≥ ${least} × bentocache`, own / perSecond('bentocache'), least, 'least')
      if (what === 'read') page.goal(`${title}: ≥ 0.7 × ioredis`, own / perSecond('ioredis'), 0.7, 'least')
    }
  },

  async l2invalidate() {
    const count = scale.tierKeys.toLocaleString('en')
    const seen = await invalidatedAcross(scale.tierKeys)
    const cells = (figures) => (figures ? [figures.ms.toFixed(2), figures.waitMs.toFixed(2)] : ['', ''])
    page.table(
      `Invalidating one in a hundred of ${count} keys in Redis`,
      ['', 'by tag, ms', 'another client waits, ms', 'by prefix, ms', 'another client waits, ms'],
      [...seen].map(([name, { tag, prefix }]) => [name, ...cells(tag), ...cells(prefix)]),
    )
    const [own, scan] = ['tidemark', 'SCAN and UNLINK'].map((name) => seen.get(name))
    page.goal(`1 % of ${count} keys in Redis by tag: × SMEMBERS and UNLINK`, own.tag.ms / scan.tag.ms, 0.5)
    page.goal('the same by prefix: × SCAN and UNLINK', own.prefix.ms / scan.prefix.ms, 0.1)
  },

  async l2bulk() {
    const count = scale.taggedEntries.toLocaleString('en')
    const { many, single, bare, dropMs, againUs } = await bulkAcross(scale.taggedEntries)
    const us = (figures) => `${figures.ownUs.toFixed(1)} + ${figures.redisUs.toFixed(1)}`
    page.table(
      `${count} entries through L1 and an L2 in Redis, 500 in flight`,
      ['', ''],
      [
        ['fills/s from a batch loader, into both tiers: `getMany`', many.perSecond.toFixed(0)],
        ['fills/s by a `get` for each key, whose loaders batch', single.perSecond.toFixed(0)],
        ['processor of a fill by `getMany`, own + Redis: µs', us(many)],
        ['the same by `get`: µs', us(single)],
        ['the bare client’s pipelined SETs/s', bare.toFixed(0)],
        ['a tag that all have is dropped in both tiers: ms', dropMs.toFixed(1)],
        ['a miss by `get`: µs', (1e6 / single.perSecond).toFixed(1)],
        ['a miss of one of these afterwards: µs', againUs.toFixed(1)],
      ],
    )
    const least = Math.round(Math.min(50_000, bare / 2))
    page.goal('fills/s from a batch loader: 50,000, or half of the pipelined SETs', many.perSecond, least, 'least')
    page.goal(`${count} entries of a tag dropped, ms`, dropMs, 30)
    page.goal('reading them back, × any miss', (againUs * single.perSecond) / 1e6, 1.2)
  },

  async l2file() {
    const figures = await runAlone('l2-file.js', [scale.fileEntries])
    page.table(
      'An L2 in a file (LMDB), one process',
      ['', 'µs', 'µs of the processor, all threads'],
      Object.entries(figures).map(([name, { us, cpuUs }]) => [name, us.toFixed(1), cpuUs.toFixed(1)]),
    )
    page.goal('L2 in a file: a hit with 3 stamps compared, µs', figures['read hit, 3 stamps compared'].us, 30)
  },
})
