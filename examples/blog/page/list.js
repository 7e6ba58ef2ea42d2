import { flash, putItems } from './motion.js'

const TOPICS = { tides: 'Tides', harbours: 'Harbours', lights: 'Lights', crossings: 'Crossings' }

/** The topics a post can have: value → name. */
export function topics() {
  return Object.entries(TOPICS)
}

export function topicName(topic) {
  return TOPICS[topic] ?? topic
}

/** Draws the row of topics once for each view; `view` is what app.js read from the address. */
export function drawTopics(view) {
  const all = [['', 'All'], ...topics()]
  if (view.author) all.push([undefined, view.authorName ?? 'One author'])
  document.querySelector('#topics').replaceChildren(
    ...all.map(([topic, name]) => {
      const item = document.createElement('li')
      const link = document.createElement('a')
      link.textContent = name
      link.dataset.link = ''
      link.href = topic === undefined ? `/?author=${view.author}` : topic ? `/?topic=${topic}` : '/'
      const isHere = topic === undefined || (!view.author && topic === (view.topic ?? ''))
      if (isHere) link.setAttribute('aria-current', 'page')
      item.append(link)
      return item
    }),
  )
}

/**
 * Shows the posts of a list, in place: an item keeps its element, so that the reader's place and focus stay, and only what
 * changed flashes.
 */
export function drawPosts(posts, { openId, authorName, linkTo }) {
  const list = document.querySelector('#posts')
  const before = new Map([...list.children].map((item) => [item.dataset.id, item]))
  const items = posts.map((post) => {
    const known = before.get(String(post.id))
    const item = known ?? newItem(String(post.id))
    drawItem(item, post, { openId, authorName, linkTo })
    if (known ? item.dataset.shown !== shownOf(post) : before.size > 0) flash(item)
    item.dataset.shown = shownOf(post)
    return item
  })
  putItems(list, items)
  document.querySelector('#list-says').textContent = posts.length === 0 ? 'No posts here yet. Write the first one.' : ''
}

function newItem(id) {
  const item = document.querySelector('#post-item').content.firstElementChild.cloneNode(true)
  item.dataset.id = id
  return item
}

function drawItem(item, post, { openId, authorName, linkTo }) {
  const link = item.querySelector('a')
  link.href = linkTo(post.id)
  if (String(post.id) === openId) link.setAttribute('aria-current', 'page')
  else link.removeAttribute('aria-current')
  item.querySelector('.item-title').textContent = post.title || 'Untitled'
  item.querySelector('.item-lead').textContent = post.lead
  item.querySelector('.item-author').textContent = authorName(post.author_id)
  item.querySelector('.item-votes').textContent = count(post.upvotes, 'vote')
  item.querySelector('.item-comments').textContent = count(post.comments, 'comment')
}

function shownOf(post) {
  return JSON.stringify([post.title, post.lead, post.upvotes, post.comments])
}

export function count(number, word) {
  return `${Number(number).toLocaleString('en')} ${word}${Number(number) === 1 ? '' : 's'}`
}
