export { runningUrl } from './address.js'
export {
  DataFolderError,
  DataInUseError,
  DataVersionError,
  EmbeddedStartError,
  EmbeddedUnsupportedError,
} from './errors.js'
export { type Embedded, type EmbeddedOptions, startEmbedded } from './server.js'
