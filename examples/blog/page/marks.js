/**
 * The small line under each part of the page: whether what it shows is what PostgreSQL has, and as of which position.
 * The shapes are the same as everywhere in Tidemark: filled is fresh, hollow is touched by a change, triangle is failing.
 */
export function showMark(element, { state, name, position, reason = '' }) {
  const words = {
    fresh: position ? `${name}, as of ${shortPosition(position)}` : name,
    invalidated: `${name}, touched by a change`,
    absent: `${name}, on its way`,
    failing: `${name}: ${reason} Last known state${position ? `, as of ${shortPosition(position)}` : ''}.`,
  }
  const mark = document.createElement('span')
  mark.className = 'mark'
  mark.dataset.state = state
  element.replaceChildren(mark, words[state])
}

/** `7312-1-a9:0/16B3748` → `0/16B3748`: the epoch says nothing to a reader of the page. */
export function shortPosition(text) {
  return /[0-9A-F]+\/[0-9A-F]+/i.exec(text)?.[0] ?? text
}

/** The text of an entry's key in at most 48 characters, cut in the middle. */
export function shortKey(key) {
  const letters = [...key]
  return letters.length <= 48 ? key : `${letters.slice(0, 24).join('')}…${letters.slice(-22).join('')}`
}

/** The page does not know which type the cache gave a parameter: `post(1)`, `post(1n)` and `post("1")` are one to it. */
export function sameKey(one, other) {
  return plain(one) === plain(other)
}

function plain(key) {
  return key.replace(/"(-?\d+)"|(-?\d+)n\b/g, '$1$2')
}
