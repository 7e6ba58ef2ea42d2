import { Streams } from './streams.js'

/** One worker for all windows of the blog in this browser, so that they share their streams. */
const streams = new Streams()

self.onconnect = ({ ports: [port] }) => {
  const ends = new Map()
  const endAll = () => {
    for (const end of ends.values()) end()
    ends.clear()
  }
  port.onmessage = ({ data }) => {
    if (data.kind === 'subscribe' && !ends.has(data.path)) {
      ends.set(
        data.path,
        streams.subscribe(data.path, (message) => port.postMessage({ path: data.path, message })),
      )
    } else if (data.kind === 'end') {
      ends.get(data.path)?.()
      ends.delete(data.path)
    } else if (data.kind === 'hello') {
      // A port does not tell when its window is gone. The window holds this lock for as long as it lives.
      navigator.locks?.request(data.lock, endAll)
    }
  }
}
