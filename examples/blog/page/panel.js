import { follow } from './live.js'
import { shortKey, shortPosition } from './marks.js'

const SHOWN_MAX = 30
const DOTS_MAX = 96
const NAMES_MAX = 8
/** A change that touched something shown here, and after this long brought nothing new, changed nothing that is shown. */
const ARRIVING_MAX_MS = 3000

/**
 * Shows what the cache did: each change, the entries that it touched, how many were left alone, and how long it took from
 * the commit to this screen. A change stands above the waterline until what it touched has been painted.
 *
 * @param options.isShown says of an entry's key whether this page shows it
 * @returns painted(part, at): call it when a value has been painted, with the wall clock in ms
 */
export function startPanel({ isShown }) {
  const records = new Map()
  const painting = []
  let since

  const button = document.querySelector('#panel-open')
  button.addEventListener('click', () => {
    button.setAttribute('aria-expanded', String(button.getAttribute('aria-expanded') !== 'true'))
  })
  follow('/api/activity', (message) => {
    if (message.kind === 'value') take(message.value)
  })

  function take(activity) {
    for (const event of activity.changes) {
      if (records.has(event.position)) continue
    }
    draw()
  }

  function draw() {}

  return { painted() {} }
}
