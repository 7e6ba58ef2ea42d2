import type { FastifyInstance } from 'fastify'
import type { Cache } from 'tidemark'
import type { Config } from './config/config.js'

export interface AppOptions {
  readonly config: Config
  readonly cache: Cache
}

export declare function buildApp(options: AppOptions): Promise<FastifyInstance>
