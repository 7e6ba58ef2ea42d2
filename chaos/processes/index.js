import { failover } from './failover.js'
import { flush } from './flush.js'
import { restartEmpty, restartOlder } from './redis-restart.js'

/** All scenarios of many processes; what each has is said in ../postgres/index.js. */
export const scenarios = [restartEmpty, restartOlder, failover, flush]
