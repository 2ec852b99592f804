/** Defaults of LimitRanges, for guests. Source: "Limit Ranges" in the Kubernetes documentation. */
import type { VmiSpec } from '../kinds/kubevirt.ts'
import type { LimitRange, LimitRangeItem, ResourceList } from '../kinds/quota.ts'
import { compareQuantities, isQuantity, type QuantityText } from '../lib/quantity.ts'
import { formatAmount } from './amounts.ts'
import { readGuest } from './guest.ts'

/** What guests get where they say nothing; other resources are of no meaning to them. */
const DEFAULTED = ['cpu', 'memory']

/**
 * An item with the defaults that follow from its bounds: a limit is at most the maximum, a request is the limit, or else
 * the minimum. Source: `SetDefaults_LimitRangeItem` of Kubernetes.
 */
export function completeItem(item: LimitRangeItem): LimitRangeItem {
  if (item.type !== 'Container') return item
  const limits = { ...item.max, ...item.default }
  const requests = { ...item.min, ...limits, ...item.defaultRequest }
  return {
    ...item,
    ...(Object.keys(limits).length > 0 && { default: limits }),
    ...(Object.keys(requests).length > 0 && { defaultRequest: requests }),
  }
}

/** The items of one type, of all ranges. */
export function itemsOf(ranges: readonly LimitRange[], ...types: string[]): LimitRangeItem[] {
  return ranges.flatMap(({ spec }) => (spec?.limits ?? []).filter(({ type }) => types.includes(type)))
}

/**
 * The spec of a new guest with the requests and limits that a namespace gives to those that say none; the same spec
 * where there is nothing to give. A guest whose own size is said (topology, guest memory) asks for just that: a default
 * request would hide what it takes. A default limit is never below it.
 */
export function withDefaults(spec: VmiSpec, ranges: readonly LimitRange[]): VmiSpec {
  return itemsOf(ranges, 'Container').map(completeItem).reduce(withItem, spec)
}

function withItem(spec: VmiSpec, item: LimitRangeItem): VmiSpec {
  const given = spec.domain?.resources ?? {}
  const requests = missingRequests(spec, item)
  const asked = { ...spec, domain: { ...spec.domain, resources: { ...given, requests } } }
  const limits = missingLimits(asked, item)
  if (isSameSize(requests, given.requests) && isSameSize(limits, given.limits)) return spec
  const resources = {
    ...given,
    ...(Object.keys(requests).length > 0 && { requests }),
    ...(Object.keys(limits).length > 0 && { limits }),
  }
  return { ...spec, domain: { ...spec.domain, resources } }
}

/** Lists only ever grow here. */
function isSameSize(list: ResourceList, before: ResourceList = {}): boolean {
  return Object.keys(list).length === Object.keys(before).length
}

function missingRequests(spec: VmiSpec, { defaultRequest }: LimitRangeItem): Record<string, string> {
  const { requests = {}, limits = {} } = spec.domain?.resources ?? {}
  const { own } = readGuest(spec)
  const isSaid = (name: string) =>
    requests[name] !== undefined || limits[name] !== undefined || own.has(name) || hasHugePages(spec, name)
  return { ...requests, ...pick(defaultRequest, (name) => !isSaid(name)) }
}

/** Guests without a size of their own in huge pages get one page of it: that is their say. */
function hasHugePages({ domain }: VmiSpec, name: string): boolean {
  return name === 'memory' && domain?.memory?.hugepages?.pageSize !== undefined
}

function missingLimits(spec: VmiSpec, item: LimitRangeItem): Record<string, string> {
  const { limits = {} } = spec.domain?.resources ?? {}
  const missing = pick(item.default, (name) => limits[name] === undefined)
  const { requests, own } = readGuest(spec)
  for (const [name, amount] of Object.entries(missing)) {
    const floor = own.get(name) ?? requests.get(name) ?? 0n
    const least = formatAmount(name, floor)
    // With CPUs of its own a guest has just as many as it shows.
    const isExact = name === 'cpu' && spec.domain?.cpu?.dedicatedCpuPlacement && floor > 0n
    if (isExact || compareQuantities(amount, least) < 0) missing[name] = least
  }
  return { ...limits, ...missing }
}

function pick(list: ResourceList = {}, isWanted: (name: string) => boolean): Record<string, string> {
  const entries = Object.entries(list).filter(
    (entry): entry is [string, QuantityText] =>
      DEFAULTED.includes(entry[0]) && isQuantity(entry[1]) && isWanted(entry[0]),
  )
  return Object.fromEntries(entries.map(([name, amount]) => [name, String(amount)]))
}
