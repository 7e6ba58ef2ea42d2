import { type Log, type Relay, RelayingLog, type RelaySource } from 'tidemark'
import { Asks } from './asks.js'
import { RelayedLog } from './relay-follower.js'
import { RelaySender } from './relay-sender.js'
import { type StreamOptions, settingsOf } from './stream-options.js'

/**
 * A Redis or Valkey stream as the relay of a source's log: one process reads the source's log and writes it into the stream, all others
 * read it there. `stream` is `tidemark:relay` by default, `retain` 100,000.
 *
 * With a `secret`, what carries no valid HMAC of it is passed over. Nothing is connected before it is used.
 *
 * @throws OptionError (`TIDEMARK_OPTION`)
 */
export function redisRelay(options: StreamOptions): Relay {
  const { line, seals, retain } = settingsOf('redisRelay', options, 'tidemark:relay')
  const { clock } = line
  return {
    lead(log: Log, isLeading: () => boolean): Log {
      return new RelayingLog(log, isLeading, new RelaySender(new Asks(line), seals, retain, clock), clock)
    },
    follow(source: RelaySource): Log {
      return new RelayedLog(source, line, seals)
    },
  }
}
