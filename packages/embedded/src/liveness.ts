import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'

/** Names this process for as long as it lives: a pid alone is reused. Stands in the server's command line. */
export function ownerToken(): string {
  return `${process.pid}-${startTime(process.pid)}`
}

/** Names a cluster's folder, however its path is written. Stands in the server's command line. */
export function clusterToken(folder: string): string {
  const { dev, ino } = fs.statSync(folder)
  return `${dev}-${ino}`
}

export const ownerPid = (owner: string): number => Number(owner.split('-')[0])

export function isOwnerAlive(owner: string): boolean {
  const pid = ownerPid(owner)
  return isAlive(pid) && owner === `${pid}-${startTime(pid)}`
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** A process's command line, arguments apart by NUL or space; `undefined` if it is gone or not ours to see. */
export function commandOf(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    return execFileSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
  } catch {
    return undefined
  }
}

/** When a process started, in the system's own terms, without spaces. */
function startTime(pid: number): string {
  try {
    if (process.platform === 'linux') {
      // The second field is the program's name in parentheses and may hold spaces; the start is field 22.
      const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' })
      .trim()
      .replace(/\W+/g, '.')
  } catch {
    return 'unknown'
  }
}
