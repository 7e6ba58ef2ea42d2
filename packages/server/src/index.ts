export { type Access, accessOf } from './access/access.js'
export type { Action, Role } from './access/action.js'
export { authorise } from './access/authorise.js'
export * from './access/errors.js'
export type { FindTokens } from './access/identities.js'
export type { StoredToken } from './access/token.js'
export { createToken, listTokens, type NewToken, type Queries, revokeToken } from './access/token-store.js'
export { type AppOptions, buildApp } from './app.js'
export { backup, type RestoreOptions, restore } from './backup/backup.js'
export { BackupError } from './backup/errors.js'
export { checkBackup, type Summary } from './backup/file.js'
export type {
  AccessConfig,
  Config,
  JwtConfig,
  OidcConfig,
  ParameterConfig,
  ResourceConfig,
  ServerConfig,
  SourceConfig,
} from './config/config.js'
export { loadConfig, parseConfig } from './config/load.js'
export { type Flags, type Setting, settingsOf } from './config/settings.js'
export * from './errors.js'
export { type Running, type SeedDatabase, type ServeOptions, serve } from './main.js'
