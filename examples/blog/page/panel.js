import { follow } from './live.js'
import { sameKey, shortKey, shortPosition } from './marks.js'
import { putItems } from './motion.js'

const SHOWN_MAX = 30
const DOTS_MAX = 120
const NAMES_MAX = 6
/** What touched something shown here, and in this time brought nothing new, changed nothing that is shown. */
const ARRIVING_MAX_MS = 2500
const TOGETHER_MAX_MS = 300

const $ = (selector) => document.querySelector(selector)

/**
 * Shows what the cache did: each change, the entries that it touched, how many were left alone, and how long it took from
 * the commit to this screen. A change stands above the waterline until what it touched has been painted.
 *
 * @param options.isShown says of an entry's key whether this page shows it
 * @returns painted(key, position, at): call it when an entry's value has been painted, `at` in ms of the wall clock
 */
export function startPanel({ isShown }) {
  const records = new Map()
  const paints = []
  const begun = Date.now()

  const button = $('#panel-open')
  button.addEventListener('click', () => {
    button.setAttribute('aria-expanded', String(button.getAttribute('aria-expanded') !== 'true'))
  })
  follow('/api/activity', ({ kind, value }) => {
    if (kind === 'value' && value.event === 'applied') take(value)
    else if (kind === 'value' && value.event === 'started') take(asRecord(value))
  })

  function take(change) {
    if (records.has(change.position)) return
    showTidemark(change.position)
    // What was committed before this page opened came with its first values.
    const isEarlier = change.committedAt < begun
    const isHere = !isEarlier && change.entries.some(({ key }) => isShown(key))
    records.set(change.position, {
      ...change,
      seenAt: Date.now(),
      isEarlier,
      isHere,
      paintedAt: undefined,
      item: undefined,
    })
    if (isHere) setTimeout(draw, ARRIVING_MAX_MS + 50)
    for (const position of [...records.keys()].slice(0, -SHOWN_MAX)) records.delete(position)
    match()
    draw()
  }

  /** A paint comes before or after the news of the change that caused it: whichever is later joins them. */
  function match() {
    const waiting = [...records.values()].filter((record) => record.isHere && !record.paintedAt)
    for (const paint of paints) {
      const shown = waiting.filter((record) => isShownBy(record, paint))
      const newest = shown.at(-1)
      for (const record of shown) {
        // A value that a later change brought shows the earlier ones too. Of two at once both are on the screen now; one
        // that came long before had brought nothing new to what is shown.
        if (newest.committedAt - record.committedAt < TOGETHER_MAX_MS) record.paintedAt ??= paint.at
        else record.isHere = false
      }
    }
  }

  function draw() {
    const all = [...records.values()].reverse()
    place($('#arriving'), all.filter(isArriving))
    place(
      $('#changes'),
      all.filter((record) => !isArriving(record)),
    )
    $('#no-change').hidden = all.length > 0
    const last = all.find((record) => record.paintedAt)
    if (last) $('#figure-latency').textContent = tookOf(last)
    if (all[0]) {
      $('#figure-touched').textContent = grouped(all[0].touched)
      $('#figure-left').textContent = grouped(all[0].left)
      const took = last === all[0] ? `, ${tookOf(last)}` : ''
      $('#panel-last').textContent = `${whatOf(all[0])}: ${grouped(all[0].touched)} touched${took}`
    }
  }

  return {
    painted(key, position, at) {
      if (at === undefined) return
      showTidemark(position)
      paints.push({ key, position, at })
      if (paints.length > 200) paints.shift()
      match()
      draw()
    },
  }
}

function isShownBy(record, { key, position, at }) {
  const isInTime = at >= record.committedAt - 5 && at - record.committedAt < ARRIVING_MAX_MS
  return isInTime && reaches(position, record.position) && record.entries.some((entry) => sameKey(entry.key, key))
}

/** The log was lost and is followed anew: all that was cached is forgotten. */
function asRecord({ position, emptied, at }) {
  return { position, committedAt: at, changes: { 'followed anew': 1 }, touched: emptied, left: 0, entries: [] }
}

/** How far the cache has read, as far as this page knows: the line never goes back. */
function showTidemark(position) {
  const element = $('#tidemark')
  const shown = shortPosition(position ?? '')
  if (shown && (element.textContent === '–' || reaches(shown, element.textContent))) element.textContent = shown
}

/** Brings a list of changes up to date; a change keeps its element, also when it crosses the waterline. */
function place(list, records) {
  const items = records.map((record) => {
    record.item ??= newChange(record)
    const took = record.item.querySelector('.change-took')
    took.classList.toggle('shown', record.paintedAt !== undefined)
    took.textContent = placeOf(record)
    return record.item
  })
  putItems(list, items)
}

function placeOf(record) {
  if (record.paintedAt) return tookOf(record)
  if (record.isEarlier) return 'earlier'
  return isArriving(record) ? '' : 'nothing new here'
}

function isArriving({ isHere, paintedAt, seenAt }) {
  return isHere && !paintedAt && Date.now() - seenAt < ARRIVING_MAX_MS
}

function newChange(record) {
  const item = $('#change-item').content.firstElementChild.cloneNode(true)
  item.classList.add('arrived')
  item.querySelector('.change-what').textContent = whatOf(record)
  item.querySelector('.change-foot').textContent = footOf(record)
  item.querySelector('.strip').replaceChildren(...dotsOf(record))
  const names = record.entries.slice(0, NAMES_MAX).map(({ key }) => {
    const name = document.createElement('code')
    name.textContent = shortKey(key)
    return name
  })
  if (record.touched > names.length) names.push(`and ${grouped(record.touched - names.length)} more`)
  item.querySelector('.change-entries').replaceChildren(...names)
  return item
}

/** One dot for each entry: hollow where the change touched it, filled where it was left alone. */
function dotsOf({ touched, left }) {
  const total = Math.min(touched + left, DOTS_MAX)
  const hollow = touched === 0 ? 0 : Math.max(1, Math.round((touched / (touched + left)) * total))
  return Array.from({ length: total }, (_, at) => {
    const dot = document.createElement('i')
    if (at < hollow) dot.className = 'touched'
    return dot
  })
}

function whatOf({ changes }) {
  const [first, ...rest] = Object.entries(changes).map(([what, times]) => {
    const short = what.replace(/^public\./, '')
    return times > 1 ? `${short} × ${grouped(times)}` : short
  })
  return rest.length > 0 ? `${first}, ${rest.join(', ')}` : (first ?? 'a commit')
}

function footOf({ touched, left }) {
  return `${grouped(touched)} touched, ${grouped(left)} left alone`
}

function tookOf({ paintedAt, committedAt }) {
  return `${grouped(Math.max(0, Math.round(paintedAt - committedAt)))} ms`
}

function grouped(number) {
  return Number(number).toLocaleString('en')
}

/** Whether a value's position is at or after a change's: of one epoch, and not a smaller LSN. */
function reaches(position, change) {
  const [a, b] = [position, change].map((text) => /([0-9A-F]+)\/([0-9A-F]+)/i.exec(text ?? ''))
  if (!a || !b) return false
  const [high, low] = [1, 2].map((part) => Number.parseInt(a[part], 16) - Number.parseInt(b[part], 16))
  return high > 0 || (high === 0 && low >= 0)
}
