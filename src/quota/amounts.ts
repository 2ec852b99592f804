/** Reckons with amounts of resources, exactly: in billionths, the finest that a quantity can say. */
import type { ResourceList } from '../kinds/quota.ts'
import { formatQuantity } from '../lib/quantity-format.ts'
import { formatBytes, isQuantity, quantityToNano, unboundedNano, type QuantityText } from '../lib/quantity.ts'

/** Amounts by the name of a resource, in billionths. */
export type Amounts = ReadonlyMap<string, bigint>

/** One of something, in billionths. */
export const ONE = 10n ** 9n

/** Names whose amounts are bytes. */
const BYTES = /(?:^|[./])(?:memory|storage|ephemeral-storage|memory-overhead)$|(?:^|\.)hugepages-/

/** Amounts as a spec says them. What is no quantity, or below zero, counts for nothing: it is refused elsewhere. */
export function readAmounts(list: ResourceList | undefined): Map<string, bigint> {
  return readList(list, quantityToNano)
}

/** Sums that were written down: they may be more than one quantity can be. */
export function readSums(list: ResourceList | undefined): Map<string, bigint> {
  return readList(list, unboundedNano)
}

function readList(list: ResourceList | undefined, read: (text: QuantityText) => bigint): Map<string, bigint> {
  const amounts = new Map<string, bigint>()
  for (const [name, text] of Object.entries(list ?? {})) {
    const nano = isQuantity(text) ? read(text) : 0n
    amounts.set(name, nano > 0n ? nano : 0n)
  }
  return amounts
}

/** The sum by name. */
export function addAmounts(left: Amounts, right: Amounts): Map<string, bigint> {
  const sum = new Map(left)
  for (const [name, amount] of right) sum.set(name, (sum.get(name) ?? 0n) + amount)
  return sum
}

/** The difference by name; below zero where `right` is larger. Without names that do not differ. */
export function differenceOf(left: Amounts, right: Amounts): Map<string, bigint> {
  const difference = new Map<string, bigint>()
  for (const name of new Set([...left.keys(), ...right.keys()])) {
    const amount = (left.get(name) ?? 0n) - (right.get(name) ?? 0n)
    if (amount !== 0n) difference.set(name, amount)
  }
  return difference
}

/** The larger by name. */
export function largerOf(left: Amounts, right: Amounts): Map<string, bigint> {
  const larger = new Map(left)
  for (const [name, amount] of right) if (amount > (larger.get(name) ?? 0n)) larger.set(name, amount)
  return larger
}

/** An amount as a quantity: bytes in units of 1024 where those say it exactly. */
export function formatAmount(name: string, nano: bigint): string {
  const isBinary = BYTES.test(name) && nano % (1024n * ONE) === 0n
  return isBinary ? formatBytes(nano / ONE) : formatQuantity(`${nano}n`)
}

/** Amounts of these names as quantities; 0 for what is absent. */
export function writeAmounts(names: Iterable<string>, amounts: Amounts): ResourceList {
  return Object.fromEntries(
    [...names].sort().map((name) => [name, formatAmount(name, amounts.get(name) ?? 0n)]),
  )
}

/** Amounts of these names as Kubernetes tells them in a refusal: `requests.cpu=2,requests.memory=4Gi`. */
export function printAmounts(names: readonly string[], amounts: Amounts): string {
  return names
    .toSorted()
    .map((name) => `${name}=${formatAmount(name, amounts.get(name) ?? 0n)}`)
    .join(',')
}
