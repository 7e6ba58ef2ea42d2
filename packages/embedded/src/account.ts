import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { OptionError } from 'tidemark'
import { EmbeddedUnsupportedError } from './errors.js'

/** The operating system's account that the server runs as. */
export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** Accounts that exist on every system of the kind and own nothing of value; the first that is there is taken. */
const unprivileged = ['nobody', 'postgres']

/**
 * Chooses the account for a new cluster. PostgreSQL refuses to run as root, and initdb wants an account with a name.
 *
 * @param wanted  the name that the caller asked for
 * @returns `undefined` to run as this process does
 */
export function serverAccount(wanted: string | undefined): Account | undefined {
  if (process.geteuid?.() !== 0) {
    if (wanted !== undefined)
      throw new OptionError(`user: only root can run PostgreSQL as another user (${wanted}). Leave the option out.`)
    return undefined
  }
  const accounts = readAccounts()
  if (wanted !== undefined) {
    const account = accounts.get(wanted)
    if (account === undefined || account.uid === 0)
      throw new OptionError(`user: ${wanted} is not an account other than root in /etc/passwd.`)
    return account
  }
  for (const name of unprivileged) {
    const account = accounts.get(name)
    if (account !== undefined) return account
  }
  throw new EmbeddedUnsupportedError(
    `PostgreSQL cannot run as root, and /etc/passwd has none of ${unprivileged.join(', ')}. ` +
      'Start as another user, or set DATABASE_URL to a PostgreSQL of your own.',
  )
}

/** The account for an existing cluster: as root we run the server as the owner, whoever created it. */
export function ownerAccount(owner: { uid: number; gid: number }, wanted: string | undefined): Account | undefined {
  const account = wanted === undefined ? undefined : serverAccount(wanted)
  if (account !== undefined && account.uid !== owner.uid)
    throw new OptionError(`user: the data belongs to uid ${owner.uid}, not to ${wanted}. Leave the option out.`)
  if (process.geteuid?.() !== 0) return undefined
  return { name: `uid ${owner.uid}`, uid: owner.uid, gid: owner.gid }
}

/** Whether the account can run a file or enter a folder. It is asked itself: modes miss ACLs and `noexec` mounts. */
export function mayEnter(path: string, account: Account | undefined): boolean {
  return spawnSync('/bin/sh', ['-c', 'test -x "$1"', 'sh', path], { ...account, cwd: '/', env: {} }).status === 0
}

function readAccounts(): Map<string, Account> {
  const accounts = new Map<string, Account>()
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name, , uid, gid] = line.split(':')
    if (name && uid && gid) accounts.set(name, { name, uid: Number(uid), gid: Number(gid) })
  }
  return accounts
}
