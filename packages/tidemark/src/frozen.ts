import { ValueError } from './errors.js'

/**
 * Prototypes for dates, maps and sets that readers share. `Object.freeze` does not reach what these hold inside, so their
 * mutators are shadowed by ones that throw. A prototype costs no memory per object and nothing at a read; `instanceof`,
 * `constructor` and all that reads stay as they were. (Calling `Date.prototype.setTime` by hand still gets through: this
 * keeps from mistakes, as freezing does.)
 */
export const FROZEN_DATE = shadowed(
  Date.prototype,
  Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith('set')),
  'new Date(date)',
)
export const FROZEN_MAP = shadowed(Map.prototype, ['set', 'delete', 'clear'], 'new Map(map)')
export const FROZEN_SET = shadowed(Set.prototype, ['add', 'delete', 'clear'], 'new Set(set)')

function shadowed(prototype: object, mutators: readonly string[], copy: string): object {
  const refuse = () => {
    throw new ValueError(`This value came from a cache, which shares it with other readers: change a copy, ${copy}.`)
  }
  const frozen: object = Object.create(prototype)
  for (const name of mutators) Object.defineProperty(frozen, name, { value: refuse })
  return frozen
}
