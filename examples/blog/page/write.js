/**
 * Sends a form to the blog's own routes, which write to PostgreSQL. What is on the screen changes when the change comes
 * back through the streams, here and in every other window alike.
 *
 * @returns what the route answered
 * @throws Error with a sentence for the reader
 */
export async function write(path, body) {
  let response
  try {
    response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(15_000),
    })
  } catch {
    throw new Error('The server does not answer. Your text is still here: try again in a moment.')
  }
  const answer = await response.json().catch(() => ({}))
  if (!response.ok)
    throw new Error(answer.detail ?? answer.message ?? `That did not work (${response.status}). Try again.`)
  return answer
}

/** Runs `send` when the form is submitted; shows its error in the form's `.problem` and keeps what was typed. */
export function onSubmit(form, send) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    await guarded(form, form.querySelector('[type=submit]'), () => send(new FormData(form)))
  })
}

/** Runs `send` with the button disabled; shows its error in the container's `.problem`. */
export async function guarded(container, button, send) {
  const problem = container.querySelector('.problem')
  problem.textContent = ''
  button.disabled = true
  try {
    await send()
  } catch (error) {
    problem.textContent = error.message
  } finally {
    button.disabled = false
  }
}

/** The visitor's session, made at the first write that needs one. It lives in this browser and in the table `sessions`. */
export async function session(authorId) {
  const known = localStorage.getItem('blog-session')
  if (known) return known
  const { id } = await write('/blog/sessions', { author: authorId })
  localStorage.setItem('blog-session', id)
  return id
}
