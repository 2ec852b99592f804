import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'

/** Whom a QEMU runs as. */
export interface QemuUser {
  uid: number
  gid: number
}

/** Says whom the QEMU of a guest runs as; `undefined` where it runs as we do, because we are not root. */
export type UserChooser = (guestUid: string) => QemuUser | undefined

/**
 * Users of guests: one each, so that a QEMU which its guest has taken over finds no other guest's files its own.
 * Above the ranges of systemd and of container engines, below the largest number of 31 bits.
 */
const FIRST_UID = 0x70000000
const UIDS = 0x0ff00000
/** The first and the last of them. */
export const GUEST_UIDS = { first: FIRST_UID, last: FIRST_UID + UIDS - 1 }
/** The user of KubeVirt's own QEMU; our group, and our user where a container has too few users. */
const SHARED_ID = 107

/**
 * The way of choosing for this process: `fixed` where given, else a user of its own for each guest, with the group
 * that may use `/dev/kvm` where `needsKvm`.
 */
export function userChooser(options: { fixed?: QemuUser; needsKvm: boolean }): UserChooser {
  if (process.getuid?.() !== 0) return () => undefined
  const { fixed, needsKvm } = options
  if (fixed) return () => fixed
  const gid = needsKvm ? statSync('/dev/kvm').gid : SHARED_ID
  const hasRange = mapsRange(readFileSync('/proc/self/uid_map', 'utf8'))
  return (guestUid) => ({ uid: hasRange ? uidOf(guestUid) : SHARED_ID, gid })
}

function uidOf(guestUid: string): number {
  return FIRST_UID + (createHash('sha256').update(guestUid).digest().readUInt32BE(0) % UIDS)
}

/** Whether all our users exist in this user namespace. Source: user_namespaces(7), `uid_map`. */
export function mapsRange(uidMap: string): boolean {
  return uidMap.split('\n').some((line) => {
    const [inside = NaN, , length = NaN] = line.trim().split(/\s+/).map(Number)
    return inside <= FIRST_UID && inside + length >= FIRST_UID + UIDS
  })
}
