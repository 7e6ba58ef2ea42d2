import type { Journal } from '@tidemark/postgres'
import type { Source } from 'tidemark'
import type { Column, TextRow } from './rows-json.js'

/** What the server needs of a source: `postgres()` of @tidemark/postgres has it. */
export interface ResourceSource extends Source<ResourceContext> {
  /** The journal, where there is one. */
  readonly journal?: Journal | undefined
  /**
   * Asks the server what a statement is, without running it.
   *
   * @throws SqlError (`TIDEMARK_SQL`) with `sqlState` and `position`; SqlWritesError (`TIDEMARK_SQL_WRITES`);
   *         SourceDownError (`TIDEMARK_SOURCE_DOWN`)
   */
  describe(text: string): Promise<Description>
  /** Says what a statement depends on, and why, without running it. Throws as `describe` does. */
  explain(text: string): Promise<Explanation>
}

export interface Explanation {
  readonly tables: readonly {
    readonly table: string
    readonly follows: 'rows' | 'table' | 'nothing'
    readonly places: readonly {
      readonly line: string
      readonly tests: readonly string[]
      readonly reads: readonly string[] | undefined
      readonly updates: string | undefined
    }[]
    readonly identity: 'default' | 'full' | 'index' | 'nothing' | undefined
    readonly advice: readonly string[]
  }[]
  readonly notKept: readonly string[]
}

export interface Description {
  /** The types of `$1`, `$2`…, by OID. */
  readonly parameters: readonly number[]
  readonly columns: readonly Column[]
}

export interface ResourceContext {
  readonly sql: {
    /** The rows as PostgreSQL's text, column by column. */
    texts(
      text: string,
      values: readonly unknown[],
    ): Promise<{ readonly columns: readonly Column[]; readonly rows: readonly TextRow[] }>
  }
}
