// Programs that tests need and npm cannot install.
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { exitOf } from './workspace.mjs'

/** `name` is what tests say in their names: "(needs psql)". */
const programs = [
  { name: 'chromium', debianPackage: 'chromium', commands: ['chromium', 'chromium-browser', 'google-chrome'] },
  { name: 'curl', debianPackage: 'curl', commands: ['curl'] },
  { name: 'psql', debianPackage: 'postgresql-client', commands: ['psql'] },
]

/** Installs what is missing where we may (root on Debian), and returns the names of what is missing still. */
export async function findMissing() {
  let missing = programs.filter((program) => !isThere(program))
  if (missing.length > 0 && process.geteuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    await installPackages(missing.map((program) => program.debianPackage))
    missing = missing.filter((program) => !isThere(program))
  }
  if (missing.length > 0) {
    const packages = missing.map((program) => program.debianPackage).join(' ')
    console.log(`Missing: ${missing.map((program) => program.name).join(', ')}. The tests that need them are skipped.`)
    console.log(`To run them, first: sudo apt-get install ${packages}`)
  }
  return missing.map((program) => program.name)
}

function isThere({ commands }) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) =>
    commands.some((command) => {
      try {
        accessSync(join(folder, command), constants.X_OK)
        return true
      } catch {
        return false
      }
    }),
  )
}

async function installPackages(packages) {
  console.log(`Installing with apt-get: ${packages.join(' ')}…`)
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, stdio: ['ignore', 'ignore', 'inherit'] }
  await exitOf('apt-get', ['update', '-qq'], options)
  await exitOf('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], options)
}
