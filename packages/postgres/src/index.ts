export { type DoctorOptions, doctor, doctorSql, type Finding } from './doctor.js'
export type { Explanation, PlaceExplanation, TableExplanation } from './explain.js'
export { journalBackup } from './journal/backup.js'
export type { ChainProblem } from './journal/chain.js'
export { csvLine } from './journal/csv.js'
export { JournalError } from './journal/errors.js'
export { Journal, type JournalOptions } from './journal/journal.js'
export type { JournalQuery, ReadRecord } from './journal/read.js'
export type { JournalRecord, Origin } from './journal/record.js'
export type { RefillEffect } from './journal/refilled.js'
export type { Claim, JournalRequests, RequestName, RequestsLimits } from './journal/requests.js'
export { journalSecret } from './journal/secret.js'
export type { Verification } from './journal/verify.js'
export type { JournalStatus } from './journal/writer.js'
export { type MembersOptions, type PostgresMembers, postgresMembers } from './members.js'
export { OWN_SCHEMA_SQL } from './own-schema.js'
export { ClientError, connectionError, SessionError } from './read/errors.js'
export { type PostgresOptions, type PostgresSource, postgres, type StatementDescription } from './source.js'
export { SqlError, SqlRowsError, SqlWritesError } from './sql/errors.js'
export type { AnswerColumn, Schema, Sql, Tag, TypeParsers } from './sql/tag.js'
export type { Fragment } from './sql/template.js'
export {
  NoSlotError,
  PoolerError,
  ProtocolError,
  PublicationError,
  RightsError,
  SlotError,
  StandbyError,
  VersionError,
  WalLevelError,
} from './wal/errors.js'
export { WalLog } from './wal/log.js'
export type { WalLogOptions } from './wal/log-options.js'
