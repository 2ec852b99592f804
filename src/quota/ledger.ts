import type { Vmi } from '../kinds/kubevirt.ts'

/** A guest that is about to be written. */
export interface GuestWrite {
  /** As it is to be stored, with its UID: what is reserved is known by that. */
  vmi: Vmi
  /** What stands there now, for an update. */
  before?: Vmi
  /** Judged like any other, and nothing is reserved. */
  dryRun: boolean
}

/**
 * Keeps room in quotas for guests, where the write itself is somebody else's: between a review and what comes of it.
 * In embedded mode the books are kept by the write itself (`embedded/quotas`).
 */
export interface QuotaLedger {
  /**
   * Takes the room that a guest needs in every quota of its namespace. Asking again for the same UID takes it once.
   * What does not appear within 120 s gives it back; so does a guest that ends or is deleted. Contract: security D5.
   *
   * Throws 403 where a quota has no room, 429 where too many are asking at once.
   */
  reserve(write: GuestWrite): Promise<void>
}
