/** Bounds of LimitRanges, in Kubernetes' own words. Source: `plugin/pkg/admission/limitranger`. */
import type { PersistentVolumeClaim } from '../kinds/core.ts'
import type { VmiSpec } from '../kinds/kubevirt.ts'
import type { LimitRange, LimitRangeItem, ResourceList } from '../kinds/quota.ts'
import { formatAmount, ONE, readAmounts, type Amounts } from './amounts.ts'
import { claimedStorage } from './claims.ts'
import { readGuest } from './guest.ts'
import { itemsOf } from './limit-range.ts'

/** What is asked for, by plain names. */
interface Asked {
  requests: Amounts
  limits: Amounts
}

/**
 * Why a guest is out of bounds; `[]` where it is not. A guest is one container and one pod; where it says no limit, its
 * own vCPUs and memory are one, for it cannot take more.
 */
export function guestFaults(spec: VmiSpec, ranges: readonly LimitRange[]): string[] {
  const { requests, limits, own } = readGuest(spec)
  const asked = { requests, limits: new Map([...own, ...limits]) }
  return itemsOf(ranges, 'Container', 'Pod').flatMap((item) => [
    ...minFaults(item, asked),
    ...maxFaults(item, asked),
    ...ratioFaults(item, asked),
  ])
}

/** Why a claim is out of bounds; `[]` where it is not. */
export function claimFaults(claim: PersistentVolumeClaim, ranges: readonly LimitRange[]): string[] {
  const asked = { requests: new Map([['storage', claimedStorage(claim)]]), limits: new Map() }
  return itemsOf(ranges, 'PersistentVolumeClaim').flatMap((item) => [
    ...minFaults(item, asked),
    ...maxRequestFaults(item, asked),
  ])
}

/** Guests always have these two; of others they may have none, and then none has to be said. */
const ALWAYS = ['cpu', 'memory']

function boundsOf(list: ResourceList | undefined, { requests, limits }: Asked): [string, bigint, string][] {
  const texts = list ?? {}
  return [...readAmounts(list)]
    .filter(([name]) => ALWAYS.includes(name) || requests.has(name) || limits.has(name))
    .map(([name, bound]) => [name, bound, String(texts[name])])
}

function minFaults({ type, min }: LimitRangeItem, asked: Asked): string[] {
  const faults: string[] = []
  for (const [name, bound, text] of boundsOf(min, asked)) {
    const words = `minimum ${name} usage per ${type} is ${text}`
    const [request, limit] = [asked.requests.get(name), asked.limits.get(name)]
    if (request === undefined) faults.push(`${words}.  No request is specified`)
    else if (request < bound) faults.push(`${words}, but request is ${formatAmount(name, request)}`)
    else if (limit !== undefined && limit < bound)
      faults.push(`${words}, but limit is ${formatAmount(name, limit)}`)
  }
  return faults
}

function maxFaults({ type, max }: LimitRangeItem, asked: Asked): string[] {
  const faults: string[] = []
  for (const [name, bound, text] of boundsOf(max, asked)) {
    const words = `maximum ${name} usage per ${type} is ${text}`
    const [request, limit] = [asked.requests.get(name), asked.limits.get(name)]
    if (limit === undefined) faults.push(`${words}.  No limit is specified`)
    else if (limit > bound) faults.push(`${words}, but limit is ${formatAmount(name, limit)}`)
    else if (request !== undefined && request > bound)
      faults.push(`${words}, but request is ${formatAmount(name, request)}`)
  }
  return faults
}

function maxRequestFaults({ type, max }: LimitRangeItem, asked: Asked): string[] {
  const faults: string[] = []
  for (const [name, bound, text] of boundsOf(max, asked)) {
    const request = asked.requests.get(name) ?? 0n
    if (request > bound) {
      faults.push(
        `maximum ${name} usage per ${type} is ${text}, but request is ${formatAmount(name, request)}`,
      )
    }
  }
  return faults
}

function ratioFaults({ type, maxLimitRequestRatio }: LimitRangeItem, asked: Asked): string[] {
  const faults: string[] = []
  for (const [name, bound, text] of boundsOf(maxLimitRequestRatio, asked)) {
    const words = `${name} max limit to request ratio per ${type} is ${text}`
    const [request = 0n, limit = 0n] = [asked.requests.get(name), asked.limits.get(name)]
    if (request === 0n) faults.push(`${words}, but no request is specified or request is 0`)
    else if (limit === 0n) faults.push(`${words}, but no limit is specified or limit is 0`)
    else if (limit * ONE > bound * request)
      faults.push(`${words}, but provided ratio is ${ratioOf(limit, request)}`)
  }
  return faults
}

/** With six digits after the point, as Go prints it. */
function ratioOf(limit: bigint, request: bigint): string {
  return (Number((limit * 10n ** 6n) / request) / 1e6).toFixed(6)
}
