import { untrusted } from './bad-bus.js'
import { cutStream } from './cut-stream.js'
import { failover } from './failover.js'
import { flush } from './flush.js'
import { evicting, outOfMemory } from './full.js'
import { hotKey } from './hot-key.js'
import { kills } from './kills.js'
import { loaders } from './loaders.js'
import { races } from './races.js'
import { restartEmpty, restartOlder } from './redis-restart.js'
import { replies } from './replies.js'
import { splitBrain } from './split-brain.js'

/** All scenarios of many processes; what each has is said in ../postgres/index.js. Those that are `isTogether` have one load in short. */
export const scenarios = [
  restartEmpty,
  restartOlder,
  failover,
  flush,
  outOfMemory,
  evicting,
  cutStream,
  replies,
  races,
  untrusted,
  loaders,
  hotKey,
  kills,
  splitBrain,
]
