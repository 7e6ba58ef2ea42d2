import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** A process of the run, spoken to by messages. */
export class Child {
  #process
  #waiting = new Map()
  #count = 0
  #heard

  /** @param heard  gets each message that is no answer */
  constructor(file, config, heard = () => {}) {
    this.#heard = heard
    this.#process = fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(config)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // As it is where this happens: in development each query is checked by two more.
      env: { ...process.env, NODE_ENV: 'production' },
    })
    // What it is told while it ends.
    this.#process.on('error', () => {})
    this.ready = new Promise((resolve, reject) => {
      this.#process.on('message', (message) => {
        if (message.kind === 'ready') resolve()
        else if (message.kind === 'answer') this.#answered(message)
        else this.#heard(message)
      })
      this.#process.once('exit', (code, signal) => {
        const error = new Error(`${file} ended (${signal ?? code}).`)
        reject(error)
        for (const { reject } of this.#waiting.values()) reject(error)
        this.#waiting.clear()
      })
    })
    this.ready.catch(() => {})
  }

  get pid() {
    return this.#process.pid
  }

  get isAlive() {
    return this.#process.exitCode === null && this.#process.signalCode === null
  }

  tell(message) {
    if (this.#process.connected) this.#process.send(message)
  }

  ask(message) {
    const id = ++this.#count
    return new Promise((resolve, reject) => {
      if (!this.#process.connected) return reject(new Error('The process has ended.'))
      this.#waiting.set(id, { resolve, reject })
      this.#process.send({ ...message, id })
    })
  }

  kill() {
    this.#process.kill('SIGKILL')
  }

  /** Resolves when it has ended. */
  async end() {
    if (!this.isAlive) return
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    const timer = setTimeout(() => this.kill(), 10_000)
    this.ask({ do: 'stop' }).catch(() => {})
    await ended
    clearTimeout(timer)
  }

  #answered({ id, error, ...answer }) {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error === undefined) waiting?.resolve(answer)
    else waiting?.reject(new Error(error))
  }
}
