import type { Dependency, Range, RowsDependency } from './dependency.js'
import { Interval, Intervals } from './intervals.js'
import { type Tuple, valuesOf } from './tuple.js'

/** Dependencies that differ only in a name: the tags of a tenant, the keys of a tenant, a table, the tuples of a shape. */
export type Scope =
  | { readonly kind: 'tag'; readonly tenant: string }
  | { readonly kind: 'key'; readonly tenant: string }
  | { readonly kind: 'table'; readonly table: string; readonly reads?: readonly string[] }
  | RowsScope

export type RowsScope = Pick<RowsDependency, 'kind' | 'table' | 'columns' | 'orders' | 'reads' | 'old'>

/** What holds dependencies, each under a name. */
export interface Home<Name> {
  /** The dependency has no entry any more. */
  forget(name: Name): void
  dependency(name: Name): Dependency
}

export class Group<Of extends Scope = Scope> implements Home<Tuple> {
  readonly ids = new Map<Tuple, number>()

  /** @param leave takes the group out of where it is found; called when its last dependency goes */
  constructor(
    readonly scope: Of,
    readonly leave: () => void,
  ) {}

  forget(name: Tuple): void {
    this.ids.delete(name)
    if (this.ids.size === 0) this.leave()
  }

  dependency(name: Tuple): Dependency {
    const scope: Scope = this.scope
    switch (scope.kind) {
      case 'tag':
        return { ...scope, tag: String(name) }
      case 'key':
        return { ...scope, key: String(name) }
      case 'table':
        return scope
      case 'rows':
        return { ...scope, values: valuesOf(name, scope.columns.length) }
    }
  }
}

/** A rows dependency with more conditions than equality, as its shape holds it. */
export class Conditioned extends Interval {
  constructor(
    readonly dependency: RowsDependency,
    readonly tuple: Tuple,
    readonly id: number,
  ) {
    super(dependency.range, rankOf(dependency), id)
  }
}

/** A shape with a range, or with conditions that are only looked at: for each tuple of its equalities, the ranges. */
export class ConditionedGroup implements Home<Conditioned> {
  readonly buckets = new Map<Tuple, Intervals<Conditioned>>()

  /** @param leave as that of `Group` */
  constructor(
    readonly scope: RowsScope,
    readonly range: Pick<Range, 'column' | 'order'> | undefined,
    readonly leave: () => void,
  ) {}

  /** The same dependency, if it is here. */
  find(wanted: Conditioned): Conditioned | undefined {
    return this.buckets.get(wanted.tuple)?.find(wanted)
  }

  insert(dependency: Conditioned): void {
    let bucket = this.buckets.get(dependency.tuple)
    if (!bucket) {
      bucket = new Intervals(this.range?.order ?? 'text')
      this.buckets.set(dependency.tuple, bucket)
    }
    bucket.insert(dependency)
  }

  forget(dependency: Conditioned): void {
    const bucket = this.buckets.get(dependency.tuple)!
    bucket.remove(dependency)
    if (bucket.isEmpty) this.buckets.delete(dependency.tuple)
    if (this.buckets.size === 0) this.leave()
  }

  dependency({ dependency }: Conditioned): Dependency {
    return dependency
  }
}

/** Tells apart what differs in conditions that are only looked at. */
function rankOf({ also, test }: RowsDependency): string {
  if (test) return JSON.stringify([also ?? [], test.holds])
  return also ? JSON.stringify(also) : ''
}
