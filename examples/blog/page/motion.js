/** Marks what a change touched: it flashes once. With reduced motion the style sheet shows a still mark instead. */
export function flash(element) {
  element.classList.remove('changed')
  // Reading the layout restarts the animation when a second change comes while the first still shows.
  void element.offsetWidth
  element.classList.add('changed')
  clearTimeout(Number(element.dataset.flash))
  element.dataset.flash = setTimeout(() => element.classList.remove('changed'), 2500)
}

/** Makes `items` the list's children, moving only those that are not in their place: a moved element loses its focus. */
export function putItems(list, items) {
  const wanted = new Set(items)
  for (const child of [...list.children]) if (!wanted.has(child)) child.remove()
  items.forEach((item, at) => {
    if (list.children[at] !== item) list.insertBefore(item, list.children[at] ?? null)
  })
}

/** Resolves with the wall clock, in ms, once what is in the document now has been painted; undefined on a hidden page. */
export function painted() {
  if (document.hidden) return Promise.resolve(undefined)
  return new Promise((resolve) => {
    requestAnimationFrame(() => {
      // A frame callback runs before its paint; a message posted in it is handled after.
      const { port1, port2 } = new MessageChannel()
      port1.onmessage = () => resolve(performance.timeOrigin + performance.now())
      port2.postMessage(undefined)
    })
  })
}
