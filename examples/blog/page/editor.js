import { topics } from './list.js'
import { onSubmit, write } from './write.js'

/** The form for a new post. `open(id)` is called with the id of the written one. */
export function startEditor({ author, open }) {
  const dialog = document.querySelector('#editor')
  const form = dialog.querySelector('form')
  form.elements.topic.replaceChildren(...topics().map(([topic, name]) => new Option(name, topic)))
  document.querySelector('#write').addEventListener('click', () => dialog.showModal())
  form.querySelector('[data-close]').addEventListener('click', () => dialog.close())
  onSubmit(form, async (fields) => {
    const { id } = await write('/blog/posts', {
      author: author(),
      title: fields.get('title'),
      topic: fields.get('topic'),
      body: fields.get('body'),
    })
    form.reset()
    dialog.close()
    open(id)
  })
}
