import { createClient } from '/client/index.js'

const client = createClient()
const configs = [
  { tenant: 'shared', title: 'all', isBase: true },
  { tenant: 'aurora', title: 'aurora' },
  { tenant: 'borealis', title: 'borealis' },
  { tenant: 'cumulus', title: 'cumulus' },
].map((config) => ({ ...config, tree: client.tree(config.tenant, 'flags'), own: {} }))

for (const config of configs) {
  config.section = document.createElement('section')
  config.section.classList.toggle('base', config.isBase === true)
  config.section.setAttribute('aria-label', config.title)
  document.querySelector('#configs').append(config.section)
  config.tree.node().follow(() => void show(config))
  void show(config)
}

/** What readers of the config get, and what of it is the config's own. */
async function show(config) {
  const { state, value, error } = config.tree.node().current()
  const away = configs.some(({ tree }) => tree.node().current().state === 'reconnecting')
  document.querySelector('#trouble').textContent = away ? 'The server is away: this is what was true last.' : ''
  if (state === 'loading') return say(config, 'Waiting for the server …')
  if (state === 'failed') return say(config, error.message)
  if (state !== 'live') return
  const own = config.isBase
    ? value
    : await config.tree
        .node()
        .get({ own: true })
        .catch(() => config.own)
  // What came meanwhile is shown by itself.
  if (config.tree.node().current().value !== value) return
  const before = config.shown
  config.own = own ?? {}
  config.shown = value
  render(config, value ?? {}, before)
}

function say({ section, title }, words) {
  section.replaceChildren(text('h2', title), text('p', words, 'none'))
}

function render({ section, title, isBase, tree, own }, flags, before) {
  const isEmpty = Object.keys(flags).length === 0
  const list = document.createElement('ul')
  for (const [name, flag] of Object.entries(flags)) {
    const item = document.createElement('li')
    item.classList.toggle('changed', before !== undefined && JSON.stringify(before[name]) !== JSON.stringify(flag))
    const input = Object.assign(document.createElement('input'), { type: 'checkbox', checked: flag.on === true })
    input.addEventListener('change', () =>
      act(() => tree.node(`/${name}/on`).set(input.checked, { cause: 'the page' }), input),
    )
    const label = document.createElement('label')
    label.append(input, text('span', name, 'name'))
    item.append(
      label,
      text('span', flag.on ? `${flag.share ?? 100} %` : 'off', 'share'),
      text('span', flag.why ?? '', 'why'),
    )
    if (!isBase) item.append(own[name] === undefined ? text('span', 'inherited', 'from') : back(tree, name))
    list.append(item)
  }
  const count = Object.keys(own).length
  const heading = text('h2', title)
  if (!isBase && !isEmpty) heading.append(text('small', count === 0 ? 'all inherited' : `${count} of its own`))
  // Where the keyboard was, it stays.
  const focused = [...section.querySelectorAll('input')].indexOf(document.activeElement)
  section.replaceChildren(
    heading,
    isEmpty ? text('p', isBase ? 'No flags.' : 'No flags of its own, and none to inherit.', 'none') : list,
  )
  section.querySelectorAll('input')[focused]?.focus()
}

function back(tree, name) {
  const button = text('button', 'inherit', 'from')
  button.setAttribute('aria-label', `inherit ${name}`)
  button.addEventListener('click', () => act(() => tree.node(`/${name}`).delete({ cause: 'the page' }), button))
  return button
}

/** Does an edit. What it changes comes back by the stream, as edits of others do; what it does not change is asked for. */
async function act(edit, control) {
  const says = document.querySelector('#error')
  control.disabled = true
  try {
    await edit()
    says.textContent = ''
  } catch (error) {
    says.textContent = error.message
  }
  for (const config of configs) await show(config)
}

function text(tag, content, className = '') {
  return Object.assign(document.createElement(tag), { textContent: content, className })
}
