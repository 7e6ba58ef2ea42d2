import { drawComments, drawNoPost, drawPost } from './article.js'
import { startEditor } from './editor.js'
import { drawPosts, drawTopics } from './list.js'
import { follow } from './live.js'
import { sameKey, showMark } from './marks.js'
import { painted } from './motion.js'
import { startPanel } from './panel.js'
import { startTheme } from './theme.js'
import { startTrouble } from './trouble.js'

/** What the parts of the page follow, and where each is shown: list, post, comments. */
const parts = new Map()
const names = new Map()
const votes = new Set()
let view = {}
/** Whether somebody just opened a post, and should be taken to it. */
let wantsFocus = false

const hasRoom = matchMedia('(min-width: 721px)')
const $ = (selector) => document.querySelector(selector)
const authorName = (id) => names.get(String(id)) ?? `Author ${id}`
const author = () => $('#author').value
const hasVoted = (id) => votes.has(id)

startTheme()
startEditor({ author, open: (id) => go(`/?post=${id}`) })
const panel = startPanel({ isShown: (key) => [...parts.values()].some((part) => sameKey(part.key, key)) })
startTrouble()
follow('/api/resources/authors', onAuthors)
followVotes()
addEventListener('popstate', route)
hasRoom.addEventListener('change', route)
document.addEventListener('click', onClick)
$('#author').addEventListener('change', () => localStorage.setItem('blog-author', author()))
route()

/** Reads the address and follows what it names. */
function route() {
  const { searchParams } = new URL(location.href)
  view = { post: searchParams.get('post'), topic: searchParams.get('topic'), author: searchParams.get('author') }
  document.body.dataset.view = view.post ? 'post' : 'list'
  showTopics()
  if (view.author) show('list', 'feed', { author: view.author }, onPosts)
  else if (view.topic) show('list', 'topic', { topic: view.topic }, onPosts)
  else show('list', 'front', {}, onPosts)
  if (view.post) openPost(view.post)
  else if (parts.get('list')?.value) openFirst(parts.get('list').value)
}

function openPost(id) {
  if (parts.get('post')?.args.id === id) return
  show('post', 'post', { id }, onPost)
  waitForPost(parts.get('post'))
  show('comments', 'comments', { post: id }, onComments)
  redrawPosts()
}

/** What was open stays, out of reach, until the next post comes; it mostly does before anybody could read "on its way". */
function waitForPost(part) {
  $('#article').inert = true
  setTimeout(() => {
    if (parts.get('post') === part && part.value === undefined) onNoPost(part)
  }, 250)
}

function onNoPost(part) {
  if (part.state === 'lost') drawNoPost('This post cannot be shown now', part.reason)
  else drawNoPost('On its way', 'The post comes as soon as the server answers.', true)
}

/** Where there is room beside the list, the first post is open before anybody chose. */
function openFirst(posts) {
  if (view.post || !hasRoom.matches) return
  if (posts.length > 0) openPost(String(posts[0].id))
  else {
    hide('post')
    hide('comments')
    drawNoPost('Nothing here yet', 'Write the first post with the button at the top.')
  }
}

/** Follows a resource and hands each value to `draw`; tells the panel when it has been painted. */
function show(name, resource, args, draw) {
  const query = new URLSearchParams(args).toString()
  const path = `/api/streams/${resource}${query ? `?${query}` : ''}`
  if (parts.get(name)?.path === path) return
  hide(name)
  const part = {
    path,
    args,
    resource,
    key: keyOf(resource, args),
    value: undefined,
    position: undefined,
    state: 'waiting',
    reason: '',
  }
  parts.set(name, part)
  part.end = follow(path, async (message) => {
    if (parts.get(name) !== part) return
    if (message.kind === 'state') {
      Object.assign(part, { state: message.state, reason: message.reason })
      if (name === 'post' && message.state === 'lost' && part.value === undefined) onNoPost(part)
    } else {
      Object.assign(part, { value: message.value, position: message.id })
      draw(message.value)
    }
    markPart(name)
    if (message.kind === 'value') panel.painted(part.key, message.id, await painted())
  })
}

/** An entry's key as the cache writes it: `post("1")`. */
function keyOf(resource, args) {
  return `${resource}(${Object.values(args)
    .map((value) => JSON.stringify(value))
    .join(', ')})`
}

function hide(name) {
  parts.get(name)?.end()
  parts.delete(name)
}

function markPart(name) {
  const part = parts.get(name)
  const element = $({ list: '#list-mark', post: '.view-mark', comments: '.talk-mark' }[name])
  if (!part || !element) return
  const state = part.state === 'lost' ? 'failing' : part.value === undefined ? 'absent' : 'fresh'
  showMark(element, { state, name: part.resource, position: part.position, reason: part.reason })
}

function onPosts(posts) {
  redrawPosts()
  openFirst(posts)
  prefetch(posts)
}

function redrawPosts() {
  const posts = parts.get('list')?.value
  if (!posts) return
  drawPosts(posts, {
    openId: parts.get('post')?.args.id,
    authorName,
    linkTo: (id) =>
      `/?${new URLSearchParams({ ...(view.topic && { topic: view.topic }), ...(view.author && { author: view.author }), post: id })}`,
  })
}

function onPost([post]) {
  $('#article').inert = false
  if (wantsFocus) $('#article').focus({ preventScroll: true })
  wantsFocus = false
  if (!post) {
    drawNoPost(
      'This post is not here',
      'It was taken away, or its address was never right. The list has those that are.',
    )
    document.title = 'Low Water'
    return
  }
  const isNew = !$('#article .view-title')
  drawPost(post, { authorName, author, hasVoted, onVote: followVotes })
  document.title = `${post.title || 'Untitled'} · Low Water`
  if (isNew && parts.get('comments')?.value) onComments(parts.get('comments').value)
  markPart('comments')
}

function onComments(comments) {
  drawComments(comments, { authorName })
  markPart('comments')
}

function onAuthors(message) {
  if (message.kind !== 'value') return
  names.clear()
  for (const { id, name } of message.value) names.set(String(id), name)
  const chosen = author() || localStorage.getItem('blog-author')
  $('#author').replaceChildren(
    ...message.value.map(({ id, name }) => new Option(name, id, false, String(id) === chosen)),
  )
  showTopics()
  redrawPosts()
  if (parts.get('post')?.value) onPost(parts.get('post').value)
  if (parts.get('comments')?.value) onComments(parts.get('comments').value)
}

/** Which posts this visitor voted for, once there is a session. */
let endVotes
function followVotes() {
  const session = localStorage.getItem('blog-session')
  if (!session || endVotes) return
  endVotes = follow(`/api/resources/votes?session=${session}`, (message) => {
    if (message.kind !== 'value') return
    votes.clear()
    for (const { post_id } of message.value) votes.add(String(post_id))
    if (parts.get('post')?.value) onPost(parts.get('post').value)
  })
}

function showTopics() {
  drawTopics({ ...view, authorName: view.author ? authorName(view.author) : undefined })
}

/** Reads the listed posts once while nothing else happens, so that a click shows its post at once. */
const prefetched = new Set()
async function prefetch(posts) {
  for (const { id } of posts) {
    for (const path of [`/api/resources/post?id=${id}`, `/api/resources/comments?post=${id}`]) {
      if (prefetched.has(path)) continue
      prefetched.add(path)
      const isRead = await fetch(path).then(
        (response) => response.ok,
        () => false,
      )
      if (!isRead) return prefetched.delete(path)
    }
  }
}

function onClick(event) {
  const link = event.target.closest?.('a[data-link]')
  if (link && !event.metaKey && !event.ctrlKey && !event.shiftKey) {
    event.preventDefault()
    go(link.getAttribute('href'))
  }
  const copy = event.target.closest?.('[data-copy]')
  if (copy) {
    navigator.clipboard.writeText(copy.previousElementSibling.textContent).then(() => {
      copy.textContent = 'Copied'
    })
  }
}

function go(address) {
  history.pushState(null, '', address)
  route()
  wantsFocus = view.post !== null
  scrollTo({ top: 0 })
}
