import { SignedHeads } from './heads.js'

/**
 * A secret for the log's messages that stays the same as long as the journal's key does, for a process that was given none: after a restart
 * it still believes who asked for what it had written itself.
 */
export async function journalSecret(folder: string): Promise<string> {
  return (await SignedHeads.open(folder)).secretOf('tidemark/messages')
}
