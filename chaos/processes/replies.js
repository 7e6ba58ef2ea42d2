import { copyFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { l2Answers } from './l2-answers.js'
import { maxSilenceMs, shared } from './setup.js'

/** Each puts Redis where it answers with an error, and undoes it. */
const refusals = {
  async NOAUTH(load) {
    await load.redis.admin.config('SET', 'requirepass', 'other')
    // Those that are connected would stay who they are.
    load.line.cut()
    return () => load.redis.admin.config('SET', 'requirepass', '')
  },
  async READONLY(load) {
    const other = await load.addRedis()
    await load.redis.admin.replicaof('127.0.0.1', other.port)
    return () => load.redis.admin.replicaof('NO', 'ONE')
  },
  async LOADING(load, ms) {
    const { admin, dump } = load.redis
    await admin.save()
    copyFileSync(dump, `${dump}.kept`)
    await load.redis.kill()
    copyFileSync(`${dump}.kept`, dump)
    // So slow, in µs for each key, that it takes as long as the others.
    await load.redis.start([
      '--key-load-delay',
      `${Math.floor((ms * 1_000) / 500)}`,
      '--loading-process-events-interval-bytes',
      '1024',
    ])
    return () => load.until(async () => (await admin.info('persistence')).includes('loading:0'), 'it is loaded')
  },
  async CLUSTERDOWN(load) {
    const node = await load.addRedis(['--cluster-enabled', 'yes'])
    load.line.leadTo(node.port)
    return () => load.line.leadTo(load.redis.port)
  },
  async MOVED(load) {
    const [node, owner] = [await load.addRedis(CLUSTER), await load.addRedis(CLUSTER)]
    await owner.admin.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383)
    await node.admin.call('CLUSTER', 'MEET', '127.0.0.1', owner.port)
    await load.until(async () => (await node.admin.cluster('INFO')).includes('cluster_state:ok'), 'the cluster stands')
    load.line.leadTo(node.port)
    return () => load.line.leadTo(load.redis.port)
  },
}
const CLUSTER = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000']

export const replies = {
  title: 'F9: Redis answers NOAUTH, READONLY, LOADING, CLUSTERDOWN, MOVED',
  staleMs: maxSilenceMs,
  setup: shared,
  isTogether: true,
  async run(load, report, { isSmoke }) {
    const ms = isSmoke ? 500 : 5_000
    for (const [name, refuse] of Object.entries(refusals)) {
      await l2Answers(load)
      const errors = () => load.sum(({ counters }) => counters.l2Errors)
      const before = errors()
      const undo = await refuse(load, ms)
      await load.until(() => errors() > before, `${name} was seen`)
      await sleep(ms)
      await undo()
      await load.recovered()
      report.figure(`${name}: calls to L2 that failed`, errors() - before)
    }
    await l2Answers(load)
    report.goal('processes that ended for it', load.ended.length, 0)
  },
}
