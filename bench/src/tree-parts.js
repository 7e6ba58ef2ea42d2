import { withDatabase } from './database.js'
import { runAlone } from './measure.js'

/** Config trees, from few nodes to many: what an edit costs must not grow with them. */
export const treeParts = ({ page, scale }) => ({
  async trees() {
    const figures = []
    for (const [tenants, nodes] of scale.trees) {
      await withDatabase({ isDurable: false }, async ({ url, version }) => {
        figures.push({
          tenants,
          nodes,
          version,
          ...(await runAlone('trees.js', [url, tenants, nodes, scale.treeEdits])),
        })
      })
    }
    page.table(
      'Config trees',
      [
        `PostgreSQL ${figures[0].version}`,
        'a hit, `peek`, ns',
        'a hit, `await get`, ns',
        'an edit of one node, ms',
        'until 100 views of it are new, p50 ms',
        'p99',
        'the same from the call of the edit, p99',
        'a cold read of 10,000 nodes, ms',
      ],
      figures.map(({ tenants, nodes, peekNs, getNs, editMs, affected, coldMs }) => [
        `${tenants.toLocaleString('en')} tenants × ${nodes.toLocaleString('en')} nodes`,
        peekNs.toFixed(0),
        getNs.toFixed(0),
        editMs.toFixed(2),
        affected.p50.toFixed(2),
        affected.p99.toFixed(2),
        affected.p99FromCall.toFixed(2),
        coldMs.toFixed(1),
      ]),
    )
    const [first, last] = [figures[0], figures.at(-1)]
    page.goal('a node read that hits, million/s, `peek`', 1_000 / last.peekNs, 1, 'least')
    page.goal('the same, `await get`', 1_000 / last.getNs, 1, 'least')
    page.goal('an edit among most nodes ≤ 1.5 × among fewest', last.editMs / first.editMs, 1.5)
    page.goal('from a commit until 100 affected views are new, p99 ms', last.affected.p99, 10)
    page.goal('a cold read of 10,000 nodes, ms', last.coldMs, 50)
  },

  async live() {
    const kinds = {
      library: '`node.watch()` in the process',
      sse: '`~live`, clients in two processes',
      sockets: 'Socket.IO, a hundred over each connection, clients in two processes',
    }
    const figures = new Map()
    let postgres
    await withDatabase({ isDurable: false }, async ({ url, version }) => {
      postgres = version
      for (const kind of Object.keys(kinds))
        figures.set(
          kind,
          await runAlone('trees-live.js', [kind, url, scale.liveSubscribers, scale.treeEdits], ['--expose-gc']),
        )
    })
    const count = scale.liveSubscribers.toLocaleString('en')
    page.table(
      `${count} live subscribers, each to a node of its own`,
      [
        `PostgreSQL ${postgres}`,
        'subscribers',
        'from an edit to its own p50 ms',
        'p99',
        'others that it woke',
        'bytes of one',
      ],
      Object.entries(kinds).map(([kind, name]) => {
        const { subscribers, p50, p99, others, subscriberBytes } = figures.get(kind)
        return [
          name,
          subscribers.toLocaleString('en'),
          p50.toFixed(1),
          p99.toFixed(1),
          others,
          Math.round(subscriberBytes).toLocaleString('en'),
        ]
      }),
    )
    const { nodeBytes } = figures.get('library')
    page.table(
      'A cached node',
      ['', 'bytes'],
      [['a leaf, with all that it depends on', Math.round(nodeBytes).toLocaleString('en')]],
    )
    for (const [kind, { subscribers, p99, others }] of figures) {
      page.goal(`${kind}: an edit reaches its own of ${subscribers.toLocaleString('en')}, p99 ms`, p99, 100)
      page.goal(`${kind}: others that ${scale.treeEdits} edits woke`, others, 0)
    }
  },
})
