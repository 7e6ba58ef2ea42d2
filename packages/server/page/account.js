import { told } from '/auth/told.js'

/** Who has signed in may have been signed out elsewhere, and this page may have slept meanwhile. */
const LOOK_MS = 15_000
/** Events that are shown. */
const SHOWN_MAX = 20
/** Characters of a key that are repeated to who typed it. */
const SHORT_MAX = 60
/** Each role may do what those before it may. */
const MAY = {
  viewer: 'look at entries and streams',
  operator: 'invalidate, and read the journal',
  editor: 'write and delete entries',
  admin: 'decide who may do what',
}

/** Why somebody comes back who has not been signed in: the server names it behind the `#`. */
const WHY = {
  TIDEMARK_SIGN_IN:
    'You were not signed in: the provider said no, it took longer than 10 minutes, or it was not begun in this browser. Sign in again.',
  TIDEMARK_PROVIDER:
    'You were not signed in: the identity provider does not answer, or does not know this server. Sign in again in a moment; if that does not help, tell whoever runs this server.',
}

const part = (id) => document.getElementById(id)
/** undefined: not asked yet; null: nobody. */
let signedInAs
let activity
let looking

await look()
sayWhy()
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && void look())
part('sign-out').addEventListener('click', () => void signOut())
part('invalidate').addEventListener('submit', (event) => {
  event.preventDefault()
  void drop()
})

/** Asks who is here, and shows it; asks again by itself. */
async function look() {
  clearTimeout(looking)
  try {
    const answer = await fetch('/auth/me')
    if (!answer.ok) throw new Error(answer.statusText)
    show(await answer.json())
    if (part('notice').dataset.kind === 'away') say('')
  } catch {
    say('The server does not answer. This page asks again by itself.', 'away')
  }
  looking = setTimeout(look, LOOK_MS)
}

function sayWhy() {
  const code = location.hash.slice(1)
  if (code !== '') history.replaceState(null, '', location.pathname)
  if (!signedInAs && Object.hasOwn(WHY, code)) say(WHY[code], 'failed')
}

function show(me) {
  const actor = me.known ? me.actor : null
  if (signedInAs && actor === null) say('Your session has ended. Sign in again to go on.', 'ended')
  else if (actor !== null) say('')
  part('server').textContent = location.host
  part('loading').hidden = true
  part('stranger').hidden = actor !== null
  part('account').hidden = actor === null
  part('sign-out').hidden = me.sign_out === null
  if (actor !== null) describe(me)
  const mayWatch = rankOf(me.roles) >= 0 && me.tenants === 'all'
  part('invalidate').hidden = rankOf(me.roles) < 1 || me.tenants.length === 0
  part('activity').hidden = !mayWatch
  if (!mayWatch) leave()
  else if (signedInAs !== actor) follow()
  signedInAs = actor
}

/** Of the role that may do most; -1: none. */
function rankOf(roles) {
  return Math.max(-1, ...roles.map((role) => Object.keys(MAY).indexOf(role)))
}

function describe({ actor, roles, tenants, expires_at: until }) {
  part('actor').textContent = actor
  part('roles').replaceChildren(
    ...(roles.length === 0
      ? ['none: ask whoever runs this server']
      : roles.flatMap((role, i) => [i ? ', ' : '', role])),
  )
  const may = Object.values(MAY).slice(0, rankOf(roles) + 1)
  if (may.length > 0) part('roles').append(` (may ${may.join('; ')})`)
  part('tenants').textContent = tenants === 'all' ? 'all' : tenants.join(', ') || 'none'
  for (const id of ['until', 'until-label']) part(id).hidden = until === null
  if (until !== null)
    part('until').textContent = new Date(until).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })
  if (actor !== signedInAs) part('tenant').value = tenants === 'all' ? 'default' : (tenants[0] ?? '')
  part('tenant').readOnly = tenants.length === 1
}

/** A stream ends with the session: what it says last is why. */
function follow() {
  leave()
  activity = new EventSource('/api/activity')
  activity.addEventListener('open', () => {
    part('live').textContent = 'live'
  })
  activity.addEventListener('error', () => {
    part('live').textContent = 'connecting…'
  })
  activity.addEventListener('problem', () => {
    leave()
    void look()
  })
  for (const [name, say] of Object.entries(told))
    activity.addEventListener(name, ({ data }) => {
      const event = JSON.parse(data)
      const text = say(event)
      if (text !== '') add(text, event.at)
    })
}

function leave() {
  activity?.close()
  activity = undefined
  part('events').replaceChildren()
  part('quiet').hidden = false
  part('live').textContent = 'connecting…'
}

function add(text, at = Date.now()) {
  const time = document.createElement('time')
  time.textContent = new Date(at).toLocaleTimeString()
  const line = document.createElement('li')
  line.append(time, text)
  const events = part('events')
  events.prepend(line)
  while (events.children.length > SHOWN_MAX) events.lastChild.remove()
  part('quiet').hidden = true
}

async function drop() {
  const key = part('key').value
  part('outcome').textContent = 'Dropping…'
  const answer = await ask(`/api/invalidate?tenant=${encodeURIComponent(part('tenant').value)}`, {
    keys: [key],
    cause: 'the page /auth/',
  })
  part('outcome').textContent =
    answer.detail ?? `Dropped: ${short(key)}. ${answer.removed.l1 ?? 0} went from this process.`
  if (answer.status === 401) void look()
}

function short(key) {
  return key.length > SHORT_MAX ? `${key.slice(0, SHORT_MAX)}…` : key
}

async function signOut() {
  const { provider, detail } = await ask('/auth/sign-out')
  if (detail !== undefined) return say(detail, 'failed')
  // It did not end by itself.
  signedInAs = undefined
  await look()
  say('You have signed out of this server. ', 'left')
  if (provider === null) return
  const link = Object.assign(document.createElement('a'), {
    href: provider,
    textContent: 'Sign out at the provider too',
  })
  part('notice').append(link)
}

/** What the server answers, or a problem that says why not. */
async function ask(path, body) {
  const headers = { 'tidemark-csrf': '1', ...(body && { 'content-type': 'application/json' }) }
  try {
    return await (await fetch(path, { method: 'POST', headers, ...(body && { body: JSON.stringify(body) }) })).json()
  } catch {
    return { detail: 'The server does not answer. Try again in a moment.' }
  }
}

function say(text, kind = '') {
  const notice = part('notice')
  notice.textContent = text
  notice.dataset.kind = kind
  notice.hidden = text === ''
}
