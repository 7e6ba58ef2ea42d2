/** What every customer has, unless theirs say otherwise. */
export const BASE = {
  'new-checkout': { on: false, share: 0, why: 'One page instead of four' },
  'instant-search': { on: true, share: 100, why: 'Results while you type' },
  'dark-mode': { on: true, share: 50, why: 'For those who read at night' },
  'ai-summaries': { on: false, share: 0, why: 'A long thread in three lines' },
}

/** What is different for one of them. */
export const CUSTOMERS = {
  aurora: { 'new-checkout': { on: true, share: 10 } },
  borealis: {},
  cumulus: { 'dark-mode': { on: false }, 'ai-summaries': { on: true, share: 100 } },
}

/** Makes the configs that are not there: one base, and one for each customer, which inherits it. */
export async function makeFlags(client) {
  const base = client.tree('shared', 'flags')
  if ((await base.node().get()) === undefined) await base.node().set(BASE, { cause: 'the first flags' })
  for (const [customer, flags] of Object.entries(CUSTOMERS)) {
    const own = client.tree(customer, 'flags')
    if ((await own.node().get()) !== undefined) continue
    await own.node().set(flags, { cause: 'the first flags' })
    await own.extend({ tenant: 'shared', config: 'flags' })
  }
}
