import { follow } from './live.js'

/**
 * Says at the top of the page what is wrong while something is: the server does not answer, or one of its parts is not
 * well. What is on the page stays, and goes on by itself.
 */
export function startTrouble() {
  const box = document.querySelector('#trouble')
  let wellAt = new Date()
  let shown = ''
  let ofParts = ''

  function say(problem) {
    if (problem === '') wellAt = new Date()
    if (problem === shown) return
    shown = problem
    box.hidden = problem === ''
    const since = wellAt.toLocaleTimeString('en-GB')
    box.querySelector('p').textContent =
      problem === '' ? '' : `${problem} What you see is as of ${since}. The page goes on by itself as soon as it can.`
  }

  follow('/health', (message) => {
    if (message.kind === 'value') ofParts = problemOf(message.value)
    // Silence says nothing new of the parts: once the server answers again, they are as they were last told.
    say(message.state === 'lost' ? message.reason : ofParts)
  })
}

/** The first part that keeps this page from being right, in the server's own words; empty if all are well. */
function problemOf({ ready, parts }) {
  if (!ready) return parts.find((part) => !part.ready)?.reason || 'The server is not ready.'
  return parts.find(({ state }) => state === 'lost' || state === 'not-current')?.reason ?? ''
}
