/**
 * The 64-bit transaction id whose lower half is `xid`, as the one nearest to `reference`.
 *
 * @param xid        32 bits, as the replication protocol sends it
 * @param reference  a recent 64-bit id (a snapshot's xmax); right while less than 2^31 transactions lie between the two, which
 *                   the slot's catalog_xmin guarantees. Taking the reference's epoch would be wrong around each wrap.
 */
export function widenXid(xid: number, reference: number): number {
  return reference + ((xid - (reference % 2 ** 32)) | 0)
}
