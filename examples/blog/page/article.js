import { count, topicName } from './list.js'
import { flash, putItems } from './motion.js'
import { guarded, onSubmit, session, write } from './write.js'

const article = () => document.querySelector('#article')

/** Shows one sentence where the post would be: it loads, it is not there, or nothing is chosen. */
export function drawNoPost(title, text, isBusy = false) {
  const heading = document.createElement('h1')
  heading.textContent = title
  const line = document.createElement('p')
  line.textContent = text
  const box = document.createElement('div')
  box.className = 'empty'
  box.append(heading, line)
  article().replaceChildren(box)
  article().setAttribute('aria-busy', String(isBusy))
  article().inert = false
}

/**
 * Draws a post, or brings the drawn one up to date; what is being typed into its forms stays.
 *
 * @param post a row of the resource `post`
 * @param names.authorName id → name
 * @param names.author the id that the visitor writes as
 * @param names.onVote called when the visitor has voted
 */
export function drawPost(post, { authorName, author, hasVoted, onVote }) {
  const id = String(post.id)
  if (article().dataset.id !== id || !article().querySelector('.view-title')) mount(id, author, onVote)
  article().setAttribute('aria-busy', 'false')
  const part = (name) => article().querySelector(`.view-${name}`)
  put(part('title'), post.title || 'Untitled')
  put(part('topic'), topicName(post.topic))
  part('topic').href = `/?topic=${encodeURIComponent(post.topic)}`
  put(part('author'), authorName(post.author_id))
  part('author').href = `/?author=${encodeURIComponent(post.author_id)}`
  part('date').textContent = dateOf(post.created_at)
  part('date').dateTime = new Date(post.created_at).toISOString()
  drawBody(part('body'), post)
  put(part('votes'), count(post.upvotes, 'vote'))
  part('vote').setAttribute('aria-pressed', String(hasVoted(id)))
  put(article().querySelector('.talk-title'), post.comments > 0 ? count(post.comments, 'comment') : 'No comments yet')
}

/** Draws the comments of the open post, in place. */
export function drawComments(comments, { authorName }) {
  const list = article().querySelector('.comments')
  if (!list) return
  const before = new Map([...list.children].map((item) => [item.dataset.id, item]))
  const isFirst = list.dataset.drawn !== 'true'
  const items = comments.map((comment) => {
    const item = before.get(String(comment.id)) ?? newComment(comment.id)
    const [by, text] = item.children
    by.textContent = `${authorName(comment.author_id)}, ${dateOf(comment.created_at)}`
    if (text.textContent !== comment.body) {
      text.textContent = comment.body
      if (!isFirst) flash(item)
    }
    return item
  })
  putItems(list, items)
  list.dataset.drawn = 'true'
}

function newComment(id) {
  const item = document.createElement('li')
  item.dataset.id = String(id)
  const by = document.createElement('p')
  by.className = 'byline'
  item.append(by, document.createElement('p'))
  return item
}

/** Sets a text; one that a change brought flashes. */
function put(element, text) {
  if (element.dataset.text === text) return
  const isFirst = element.dataset.text === undefined
  element.dataset.text = text
  element.textContent = text
  if (!isFirst) flash(element)
}

function drawBody(element, post) {
  if (element.dataset.text === post.body) return
  const isFirst = element.dataset.text === undefined
  element.dataset.text = post.body
  element.replaceChildren(
    ...post.body.split(/\n\s*\n/).map((text) => {
      const paragraph = document.createElement('p')
      paragraph.textContent = text
      return paragraph
    }),
  )
  if (!isFirst) flash(element)
}

function mount(id, author, onVote) {
  article().dataset.id = id
  article().replaceChildren(document.querySelector('#post-view').content.cloneNode(true))
  const part = (name) => article().querySelector(name)
  const retitle = part('.retitle')
  const showRetitle = (isShown) => {
    retitle.hidden = !isShown
    part('.headline').hidden = isShown
    retitle.querySelector('.problem').textContent = ''
    if (isShown) {
      retitle.elements.title.value = part('.view-title').textContent
      retitle.elements.title.select()
    } else part('.view-edit').focus()
  }
  part('.view-edit').addEventListener('click', () => showRetitle(true))
  part('[data-cancel]').addEventListener('click', () => showRetitle(false))
  onSubmit(retitle, async (form) => {
    await write(`/blog/posts/${id}/title`, { title: form.get('title') })
    showRetitle(false)
  })
  part('.view-vote').addEventListener('click', () =>
    guarded(part('.vote'), part('.view-vote'), async () => {
      await write(`/blog/posts/${id}/upvotes`, { session: await session(author()) })
      onVote()
    }),
  )
  onSubmit(part('.say'), async (form) => {
    await write(`/blog/posts/${id}/comments`, { author: author(), body: form.get('body') })
    part('.say').reset()
  })
}

const dates = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long', year: 'numeric' })

function dateOf(time) {
  return dates.format(new Date(time))
}
