import type { TidemarkError } from 'tidemark'
import {
  ancestorsOf,
  type Catalogue,
  type CatalogueTable,
  type Fingerprint,
  type Identity,
  readCatalogue,
  readFingerprint,
} from './catalogue.js'
import type { SqlConnection } from './connection.js'
import type { DefinitionChanges } from './definition-changes.js'
import { KnownDefinitions } from './known-definitions.js'
import { checkMessageTable, needsMessageTable } from './message-table.js'
import type { Relation } from './protocol.js'
import { applyPlan, checkPublication, type Plan, planPublication, unownedError } from './publication.js'
import { ownTransaction } from './slot.js'
import type { Visibility } from './visibility.js'

/** A table whose every change is delivered from now on. */
export interface FollowedTable {
  /** `schema.name`, each part quoted as quote_ident does. */
  readonly table: string
  /** `full`: changes carry all old values. Otherwise those of `columns` only. */
  readonly identity: Identity['kind']
  readonly columns: readonly string[]
}

/** What a look at the catalogue found. */
export interface CatalogueChange {
  /** The fingerprints between which the definitions changed since `told`, undefined if they did not. */
  readonly definitions: { readonly from: string; readonly to: string } | undefined
  /** A table left the publication, if only for a moment: changes of it may be lost. */
  readonly hasLost: boolean
  /** What all this touches. */
  readonly touched: DefinitionChanges
  /** The publication itself is gone, or another one. */
  readonly isPublicationGone: boolean
}

/** What was known of the tables, all of it announced. */
export interface TablesMark {
  readonly fingerprint: Fingerprint
  readonly settled: ReadonlyMap<number, number>
}

/** Releases where ALTER PUBLICATION was seen to reach transactions that were open (test/late-table.test.ts). */
const REACHES_OPEN_FROM: Record<number, number> = { 14: 140_023, 15: 150_018, 16: 160_014, 17: 170_010, 18: 180_004 }
const NAMES_MAX = 32
const UNSEEN: Fingerprint = { schema: '', publication: '', pulse: { counts: '', xmin: '' } }
const WANTED_MAX = 10_000
const RETRY_POLLS = 10

/**
 * The tables that are followed (rule "Followed tables" of design.md), and the names under which their rows are read.
 */
export class Tables {
  readonly #sql: SqlConnection
  readonly #visibility: Visibility
  readonly #publication: string
  readonly #tell: (problem: TidemarkError) => void
  #version = 0
  #fingerprint = UNSEEN
  #catalogue: Catalogue = { publication: undefined, tables: new Map() }
  readonly definitions = new KnownDefinitions()
  readonly #lost = new Set<string>()
  /** The publication when all was told last. */
  #toldPublication: Catalogue['publication']
  /** Table → the entry in the publication under which every change of it is delivered. */
  readonly #settled = new Map<number, number>()
  /** Entries that were seen, with the transaction of our own that was written afterwards. */
  #unsettled: { readonly xid: number; readonly entries: Map<number, number> }[] = []
  readonly #names = new Map<number, readonly string[]>()
  #followed = new Map<string, FollowedTable>()
  /** Tables that a query read though they were not followed: asked for once, then the poll finds what changes. */
  readonly #wanted = new Set<string>()
  /** What could not be published (locked, dropped meanwhile) is tried again after so many polls. */
  #pollsToRetry = 0

  constructor(sql: SqlConnection, visibility: Visibility, publication: string, tell: (problem: TidemarkError) => void) {
    this.#sql = sql
    this.#visibility = visibility
    this.#publication = publication
    this.#tell = tell
  }

  /** Whether tables wait until they count as followed. */
  get isSettling(): boolean {
    return this.#unsettled.length > 0
  }

  /** The oid of the publication that is followed; undefined while none was found. */
  get publicationOid(): number | undefined {
    return this.#toldPublication?.oid
  }

  followed(table: string): FollowedTable | undefined {
    return this.#followed.get(table)
  }

  /** Notes that a query reads a table. Returns whether a look at the catalogue might make it followed. */
  want(table: string): boolean {
    if (this.#followed.has(table) || this.#wanted.has(table)) return false
    if (this.#wanted.size >= WANTED_MAX) this.#wanted.clear()
    this.#wanted.add(table)
    return true
  }

  /** Nothing is followed until the next start. */
  lost(): void {
    this.#followed = new Map()
    this.#settled.clear()
    this.#unsettled = []
    this.#names.clear()
    this.#wanted.clear()
    this.#lost.clear()
  }

  /** Publishes what can be followed and reads the catalogue: before the slot is created. */
  async prepare(version: number): Promise<void> {
    this.#version = version
    this.lost()
    await this.#look()
    this.told()
    this.definitions.start()
  }

  /** The slot stands: its creation waited for every transaction that was open when the publication was ready. */
  slotCreated(): void {
    for (const { oid, entry } of this.#catalogue.tables.values()) if (entry !== 0) this.#settled.set(oid, entry)
    this.#follow()
  }

  /** What is known now, to go on with after a loss. */
  mark(): TablesMark {
    return { fingerprint: this.#fingerprint, settled: new Map(this.#settled) }
  }

  /** After `prepare`: whether the catalogue is as it was at the mark; then what was followed is followed. */
  resume({ fingerprint, settled }: TablesMark): boolean {
    const { schema, publication } = this.#fingerprint
    if (schema !== fingerprint.schema || publication !== fingerprint.publication) return false
    for (const [oid, entry] of settled) this.#settled.set(oid, entry)
    this.#follow()
    return true
  }

  /** The slot is an older one: it waited for nobody, so every table counts as published late. */
  async slotFound(): Promise<void> {
    await this.#settle()
    this.#follow()
  }

  /** Looks whether the catalogue changed, publishes what is new, and settles what it can. */
  async poll(): Promise<CatalogueChange> {
    const known = this.#fingerprint
    const now = await readFingerprint(this.#sql, this.#publication, this.#version, known === UNSEEN ? undefined : known)
    const isSame = now.schema === known.schema && now.publication === known.publication
    if (isSame) this.#fingerprint = now
    const isRetry = this.#pollsToRetry > 0 && --this.#pollsToRetry === 0
    if (!isSame || isRetry) await this.#look()
    this.#unsettle()
    if (this.isSettling || !isSame || isRetry) {
      await this.#settle()
      this.#follow()
    }
    return {
      definitions: this.definitions.step,
      hasLost: this.#lost.size > 0 || this.#hasOtherPublication,
      touched: this.#touched(),
      isPublicationGone: this.#catalogue.publication?.oid !== this.#toldPublication?.oid,
    }
  }

  /** What the last look found is in the log now. */
  told(): void {
    this.definitions.told()
    this.#toldPublication = this.#catalogue.publication
    this.#lost.clear()
  }

  /** The same publication, altered: what it left out meanwhile may be lost. */
  get #hasOtherPublication(): boolean {
    const [told, current] = [this.#toldPublication, this.#catalogue.publication]
    return told !== undefined && told.oid === current?.oid && told.state !== current.state
  }

  #touched(): DefinitionChanges {
    const changes = this.definitions.touched()
    const everything = changes.everything ?? (this.#hasOtherPublication ? 'the publication changed' : undefined)
    return { ...changes, tables: new Set([...changes.tables, ...this.#lost]), everything }
  }

  /** Under which names the rows of a relation of the log are read: its own and those of the tables above it. */
  namesOf(relation: Relation): readonly string[] | undefined {
    const table = this.#catalogue.tables.get(relation.oid)
    return table?.name === relation.name && table.schema === relation.schema ? this.#names.get(relation.oid) : undefined
  }

  /** Why a table is not followed, for people. */
  whyNot(name: string): string {
    const table = [...this.#catalogue.tables.values()].find(({ table }) => table === name)
    if (!table) return 'it is no table of this database, or a system table'
    const parts = this.#parts(table)
    const reasons = new Set(parts.map((part) => this.#reason(part)).filter((reason) => reason !== undefined))
    if (reasons.size === 0 && !identityOf(parts)) return 'its partitions or children differ in their replica identity'
    return [...reasons].join('; ') || 'it is followed'
  }

  /** Reads fingerprint and catalogue and publishes what is missing, until nothing is, or the rest can't be published now. */
  async #look(): Promise<void> {
    // Until all was read nothing counts as seen: a look that fails is made again.
    this.#fingerprint = UNSEEN
    let missing = Number.POSITIVE_INFINITY
    for (;;) {
      // The fingerprint first: what changes between the two reads shows in the next one.
      const now = await readFingerprint(this.#sql, this.#publication, this.#version, undefined)
      const fingerprint = { ...now, schema: await this.definitions.look(this.#sql, this.#version, now.schema) }
      this.#catalogue = await readCatalogue(this.#sql, this.#publication, this.#version)
      checkPublication(this.#publication, this.#catalogue)
      this.#name()
      const plan = planPublication(this.#catalogue)
      const left = plan.add.length + plan.drop.length + (this.#catalogue.publication ? 0 : 1)
      const isDone = left === 0 || left >= missing
      this.#pollsToRetry = left > 0 && isDone ? RETRY_POLLS : 0
      if (isDone && this.#catalogue.publication) {
        if (needsMessageTable(this.#version)) checkMessageTable(this.#publication, this.#catalogue)
        this.#fingerprint = fingerprint
        return this.#tellUnowned(plan)
      }
      missing = left
      await applyPlan(this.#sql, this.#publication, this.#catalogue, plan)
    }
  }

  #tellUnowned({ unowned }: Plan): void {
    if (unowned.length > 0) this.#tell(unownedError(this.#publication, unowned))
  }

  /** Names only grow within a start: until the log has told of a change, rows from before it are read under the old names. */
  #name(): void {
    const { tables } = this.#catalogue
    for (const { oid, table } of tables.values()) {
      const above = ancestorsOf(oid, (child) => tables.get(child)?.parents ?? []).map(
        (parent) => tables.get(parent)!.table,
      )
      const names = new Set([table, ...above, ...(this.#names.get(oid) ?? [])])
      this.#names.set(oid, [...names].slice(0, NAMES_MAX))
    }
  }

  /** Forgets what left the publication. */
  #unsettle(): void {
    for (const [oid, entry] of this.#settled) {
      const table = this.#catalogue.tables.get(oid)
      if (table?.entry === entry) continue
      this.#settled.delete(oid)
      // Of one that was dropped its definition tells.
      if (table) for (const name of this.#names.get(oid) ?? [table.table]) this.#lost.add(name)
    }
  }

  async #settle(): Promise<void> {
    const known = (oid: number, entry: number): boolean =>
      this.#settled.get(oid) === entry || this.#unsettled.some(({ entries }) => entries.get(oid) === entry)
    const fresh = [...this.#catalogue.tables.values()].filter(({ oid, entry }) => entry !== 0 && !known(oid, entry))
    if (fresh.length > 0) {
      const xid = await this.#sql.use(ownTransaction)
      this.#unsettled.push({ xid, entries: new Map(fresh.map(({ oid, entry }) => [oid, entry])) })
    }
    if (this.#unsettled.length === 0) return
    const { snapshot } = await this.#visibility.probe()
    const locked = await this.#locked()
    this.#unsettled = this.#unsettled.filter(({ xid, entries }) => {
      for (const [oid, entry] of entries) {
        if (!(snapshot && snapshot.xmin > xid) && locked?.has(oid) !== false) continue
        entries.delete(oid)
        if (this.#catalogue.tables.get(oid)?.entry === entry) this.#settled.set(oid, entry)
      }
      return entries.size > 0
    })
  }

  /**
   * The unsettled tables that some transaction holds a write lock on: what it wrote before the table was published is not sent.
   * A commit that is still hidden holds its locks too. undefined where only the end of all older transactions counts.
   */
  async #locked(): Promise<ReadonlySet<number> | undefined> {
    if (!(this.#version >= (REACHES_OPEN_FROM[Math.floor(this.#version / 10_000)] ?? Number.POSITIVE_INFINITY)))
      return undefined
    const oids = this.#unsettled.flatMap(({ entries }) => [...entries.keys()])
    const rows = await this.#sql.rows<{ oid: number }>(
      `select distinct relation as oid from pg_locks where locktype = 'relation' and relation = any ($1::oid[])
         and database = (select oid from pg_database where datname = current_database())
         and mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`,
      [oids],
    )
    return new Set(rows.map(({ oid }) => oid))
  }

  #follow(): void {
    const followed = new Map<string, FollowedTable>()
    for (const table of this.#catalogue.tables.values()) {
      const parts = this.#parts(table)
      const identity = identityOf(parts)
      if (!identity || parts.some((part) => this.#reason(part) !== undefined)) continue
      followed.set(table.table, { table: table.table, identity: identity.kind, columns: identity.columns })
    }
    this.#followed = followed
  }

  /** The table and all below it: a read of it reads them too. */
  #parts(table: CatalogueTable): CatalogueTable[] {
    const { tables } = this.#catalogue
    return [table, ...ancestorsOf(table.oid, (oid) => tables.get(oid)?.children ?? []).map((oid) => tables.get(oid)!)]
  }

  #reason(table: CatalogueTable): string | undefined {
    if (!table.isLogged) return 'it is unlogged or foreign: its changes are not in the WAL'
    if (!table.identity)
      return 'it has no usable replica identity (a primary key, or REPLICA IDENTITY USING INDEX or FULL)'
    if (table.entry === 0) return `it is not in the publication "${this.#publication}"`
    if (table.isRestricted) return `the publication "${this.#publication}" sends only some of its rows or columns`
    if (this.#settled.get(table.oid) !== table.entry)
      return 'it was published a moment ago, and transactions from before are open'
    return undefined
  }
}

/** What the changes of all these tables carry: of parts that differ, nothing can be said. */
function identityOf(tables: readonly CatalogueTable[]): Identity | undefined {
  const identities = tables.map(({ identity }) => identity)
  const narrow = identities.find((identity) => identity?.kind !== 'full') ?? identities[0]
  if (!narrow) return undefined
  const columns = narrow.columns.join('\0')
  const isSame = identities.every(
    (identity) => identity && (identity.kind === 'full' || identity.columns.join('\0') === columns),
  )
  return isSame || identities.every((identity) => identity?.kind === 'full') ? narrow : undefined
}
