import { follow } from './live.js'

/**
 * Says at the top of the page what is wrong while something is: the server does not answer, or one of its parts is not
 * well. What is on the page stays, and goes on by itself.
 */
export function startTrouble() {
  const box = document.querySelector('#trouble')
  let wellAt = new Date()

  function say(problem) {
    if (!problem) wellAt = new Date()
    const isNew = problem !== '' && box.hidden
    box.hidden = problem === ''
    const text = `${problem} What you see is as of ${wellAt.toLocaleTimeString('en-GB')}; this page goes on by itself.`
    if (isNew || problem) box.querySelector('p').textContent = problem ? text : ''
  }

  follow('/health', (message) => {
    if (message.kind === 'state' && message.state === 'lost') say(message.reason)
    else if (message.kind === 'value') say(problemOf(message.value))
  })
}
