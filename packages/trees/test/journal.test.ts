import { expect, it } from 'vitest'
import { until, World } from './opened.js'

it('who edited which nodes of a config, and why, is in the journal once, without their values', async () => {
  const world = await World.create({})
  try {
    const { trees, source, cache } = await world.open({ slot: 'trees_journal', journal: true })
    const journal = source.journal!
    await until(() => journal.status().written > 0 && cache.status().log.slot?.isHeld === true)
    // Its tables are a moment old: what was written before they are followed is not in the log.
    const published =
      "select from pg_publication_tables where schemaname = 'tidemark_trees' and tablename = 'config_edit_nodes'"
    await until(async () => (await world.admin.query(published)).rowCount === 1)
    const config = trees.tree('T1', 'app')
    const by = { actor: 'anna', requestId: 'edit-1', cause: 'a limit was too low' }
    await config.put('', { value: { limits: { max: 'told-1' } } })
    const { version } = await config.put('/limits/max', { value: 'told-2' }, { by })
    await config.put('/limits/max', { value: 'told-3' }, { dryRun: true })
    await world.admin.query("update tidemark_trees.configs set value = '\"told-4\"' where path = '/limits/max'")
    await until(async () => (await journal.read({ origins: ['rows'] }, 1)).length > 0)
    const edits = await journal.read({ origins: ['edit'] }, 10)
    expect(edits).toHaveLength(2)
    expect(edits[0]).toMatchObject({ tenant: 'T1', actor: 'anna', requestId: 'edit-1', cause: by.cause })
    expect(edits[0]!.keys).toEqual(['app', 'app/limits/max'])
    expect(JSON.parse(edits[0]!.detail)).toEqual({ config: 'app', version, nodes: 1 })
    expect(await journal.read({ target: 'app/limits/max', tenants: ['T1'] }, 10)).toHaveLength(2)
    // What a program wrote by SQL is no edit: rows of a table.
    const rows = await journal.read({ origins: ['rows'] }, 10)
    expect(rows.map(({ tables }) => tables)).toEqual([['tidemark_trees.configs']])
    expect(JSON.stringify([edits, rows])).not.toContain('told-')
  } finally {
    await world.drop()
  }
})
