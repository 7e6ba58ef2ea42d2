import type { SqlConnection } from '../wal/connection.js'
import { INSTALL_SQL, TRIGGERS_VERSION, triggersState } from '../wal/ddl-triggers.js'
import { advice, type Finding, ok, warning } from './finding.js'

/** Whether changes of definitions are told by event triggers. */
export async function checkTriggers(sql: SqlConnection, version: number): Promise<Finding[]> {
  if (version < TRIGGERS_VERSION) return []
  const code = 'ddl-triggers'
  switch (await triggersState(sql)) {
    case 'installed':
      return [ok(code, 'event triggers tell of DDL in its own transaction')]
    case 'other':
      return [
        warning(
          code,
          'the event triggers for DDL are switched off, or of another version of Tidemark',
          'DDL is seen by the look at the catalogue, within a second.',
          INSTALL_SQL,
        ),
      ]
    case 'missing':
      return [
        advice(
          code,
          'DDL is seen by a look at the catalogue each second',
          'For that second an answer may be as the schema was before. Event triggers make it exact: a superuser, or the administrator of a managed service that allows them, may install them.',
          INSTALL_SQL,
        ),
      ]
  }
}
