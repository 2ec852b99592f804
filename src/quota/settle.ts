/** Takes a write into the quotas of its namespace, or refuses it. */
import type { KubeObject } from '../kinds/meta.ts'
import type { ResourceQuota } from '../kinds/quota.ts'
import { VMIS } from '../kinds/table.ts'
import { addAmounts, differenceOf, readAmounts, readSums, writeAmounts, type Amounts } from './amounts.ts'
import { chargesOf, resourceName, type ChargeRules } from './charges.ts'
import { unspecifiedNames } from './guest.ts'
import { exceeded, unspecified } from './refusals.ts'
import { isInScope } from './scopes.ts'

/** What becomes of one object. */
export interface QuotaWrite {
  /** Its kind as quotas name it: `virtualmachines.kubevirt.io`. */
  resource: string
  name: string
  /** Absent for one that is made. */
  before?: KubeObject | undefined
  /** Absent for one that goes. */
  after?: KubeObject | undefined
}

const NOTHING: Amounts = new Map()
const VMI_RESOURCE = resourceName(VMIS)

/** What the object takes of what this quota counts. */
export function countedOf(
  quota: ResourceQuota,
  resource: string,
  object: KubeObject | undefined,
  rules: ChargeRules,
): Amounts {
  if (!object || !isInScope(quota, resource, object)) return NOTHING
  const hard = quota.spec?.hard ?? {}
  const charges = chargesOf(resource, object, rules)
  return new Map([...charges].filter(([name]) => Object.hasOwn(hard, name)))
}

/**
 * The quotas whose usage the write changes, as they stand after it; what they hold of `status.used` is taken for true.
 *
 * Throws 403 where one of them has no room for it, or counts what a guest does not say. A write that takes no more
 * than before is never refused.
 */
export function settle(
  quotas: readonly ResourceQuota[],
  write: QuotaWrite,
  rules: ChargeRules,
): ResourceQuota[] {
  const changed: ResourceQuota[] = []
  for (const quota of quotas) {
    const after = countedOf(quota, write.resource, write.after, rules)
    const change = differenceOf(after, countedOf(quota, write.resource, write.before, rules))
    const asksForMore = [...change.values()].some((amount) => amount > 0n)
    if (asksForMore || !write.before) requireSpecified(quota, write, rules)
    if (change.size === 0) continue
    const used = readSums(quota.status?.used)
    requireRoom(quota, write, used, change)
    changed.push(withUsed(quota, addAmounts(used, change)))
  }
  return changed
}

/** The quota with its status: all that it limits, and how much of it is used. */
export function withUsed(quota: ResourceQuota, used: Amounts): ResourceQuota {
  const hard = quota.spec?.hard ?? {}
  return { ...quota, status: { hard, used: writeAmounts(Object.keys(hard), used) } }
}

/** Throws 403 where the quota counts what a new or changed guest does not say. */
export function requireSpecified(quota: ResourceQuota, write: QuotaWrite, rules: ChargeRules): void {
  const { resource, name, after } = write
  if (resource !== VMI_RESOURCE || !after || !isInScope(quota, resource, after)) return
  const names = unspecifiedNames(Object.keys(quota.spec?.hard ?? {}), chargesOf(resource, after, rules))
  if (names.length > 0 && !hasEnded(after)) throw unspecified(resource, name, quota.metadata.name, names)
}

/** Throws 403 where the quota has no room for what is asked for beyond what was there. */
export function requireRoom(
  quota: ResourceQuota,
  { resource, name }: QuotaWrite,
  used: Amounts,
  change: Amounts,
): void {
  const hard = readAmounts(quota.spec?.hard)
  const names = [...change]
    .filter(([one, amount]) => amount > 0n && (used.get(one) ?? 0n) + amount > (hard.get(one) ?? 0n))
    .map(([one]) => one)
  if (names.length === 0) return
  throw exceeded(resource, name, { quota: quota.metadata.name, names, requested: change, used, hard })
}

function hasEnded(guest: KubeObject): boolean {
  return chargesOf(VMI_RESOURCE, guest, { countsObjects: false }).size === 0
}
