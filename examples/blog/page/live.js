import { Streams } from './streams.js'

/**
 * Follows a path of the server: `listener` gets `{ kind: 'value' | 'state', … }` as in streams.js, until the returned
 * function is called. A page follows a path once at a time. While the page is hidden nothing is followed; when it shows
 * again, it starts with the value of then.
 */
export function follow(path, listener) {
  let end
  const turn = () => {
    end?.()
    end = document.hidden ? undefined : subscribe(path, listener)
  }
  turn()
  document.addEventListener('visibilitychange', turn)
  return () => {
    document.removeEventListener('visibilitychange', turn)
    end?.()
  }
}

let subscribe = typeof SharedWorker === 'function' ? sharedStreams() : ownStreams()

function ownStreams() {
  const streams = new Streams()
  return (path, listener) => streams.subscribe(path, listener)
}

function sharedStreams() {
  const worker = new SharedWorker('live-worker.js', { type: 'module', name: 'live' })
  const { port } = worker
  const listeners = new Map()
  const ends = new Map()
  port.onmessage = ({ data: { path, message } }) => listeners.get(path)?.(message)
  worker.onerror = () => {
    // A browser without modules in shared workers: this window keeps its own streams.
    subscribe = ownStreams()
    for (const [path, listener] of listeners) ends.set(path, subscribe(path, listener))
  }
  const lock = `window ${Math.random()}`
  navigator.locks?.request(lock, () => {
    port.postMessage({ kind: 'hello', lock })
    return new Promise(() => {})
  })
  return (path, listener) => {
    listeners.set(path, listener)
    port.postMessage({ kind: 'subscribe', path })
    return () => {
      listeners.delete(path)
      port.postMessage({ kind: 'end', path })
      ends.get(path)?.()
    }
  }
}
