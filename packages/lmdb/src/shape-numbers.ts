import type { Environment } from './environment.js'
import { shapeKey } from './keys.js'
import type { Tide } from './tide-record.js'

/** The numbers that shapes have in the file, as far as this process has read them: within a generation they stay what they are. */
export class ShapeNumbers {
  #generation: string | undefined
  #numbers = new Map<string, number>()

  /** By text, all that the file has. Read it before the next `refresh`. */
  of(environment: Environment, { generation, shapes }: Tide): ReadonlyMap<string, number> {
    if (generation !== this.#generation) {
      this.#generation = generation
      this.#numbers = new Map()
    }
    for (let number = this.#numbers.size; number < shapes; number++) {
      this.#numbers.set(environment.shapes.getBinary(shapeKey(number))!.toString(), number)
    }
    return this.#numbers
  }
}
