/** What a guest asks for, in guest terms: where it says no request, its own vCPUs and memory count. */
import type { VmiSpec } from '../kinds/kubevirt.ts'
import { memoryOverheadBytes } from '../kinds/overhead.ts'
import type { QuantityText } from '../lib/quantity.ts'
import { ONE, readAmounts, type Amounts } from './amounts.ts'

/** Counted beside a guest's memory, never in it: what its process takes beyond that. */
export const OVERHEAD = 'virtgate.io/memory-overhead'

/** Resources that are counted both by their bare name and as a request. */
const COMPUTE: readonly string[] = ['cpu', 'memory', 'ephemeral-storage']

/** What a guest asks for, by plain names such as `cpu`. */
export interface GuestResources {
  requests: Amounts
  /** As they are said: a guest that says none has none here. */
  limits: Amounts
  /** vCPUs and memory of the guest itself; absent where its spec does not tell them. */
  own: Amounts
}

/** Reads a guest's spec; one that admission has not completed yet, too. */
export function readGuest(spec: Pick<VmiSpec, 'domain'>): GuestResources {
  const own = ownOf(spec)
  const requests = readAmounts(spec.domain?.resources?.requests)
  for (const [name, amount] of own) if (!requests.get(name)) requests.set(name, amount)
  for (const [name, amount] of devicesOf(spec)) requests.set(name, (requests.get(name) ?? 0n) + amount)
  return { requests, limits: readAmounts(spec.domain?.resources?.limits), own }
}

/** What quotas count of a guest that is there to run. */
export function guestCharges(spec: Pick<VmiSpec, 'domain'>): Map<string, bigint> {
  const { requests, limits } = readGuest(spec)
  const charges = new Map([[OVERHEAD, memoryOverheadBytes(spec) * ONE]])
  for (const [name, amount] of requests) {
    charges.set(`requests.${name}`, amount)
    if (COMPUTE.includes(name) || name.startsWith('hugepages-')) charges.set(name, amount)
  }
  for (const [name, amount] of limits) {
    if (COMPUTE.includes(name)) charges.set(`limits.${name}`, amount)
  }
  return charges
}

/** Names that a guest has to be specific about where a quota counts them. Source: `Constraints` of Kubernetes' pods. */
const MUST_SPECIFY = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory']

/** Those of the names counted that the guest says nothing about. */
export function unspecifiedNames(counted: Iterable<string>, charges: Amounts): string[] {
  return [...counted].filter((name) => MUST_SPECIFY.includes(name) && !charges.get(name)).sort()
}

function ownOf({ domain }: Pick<VmiSpec, 'domain'>): Map<string, bigint> {
  const own = new Map<string, bigint>()
  const vcpus = vcpusOf(domain?.cpu)
  if (vcpus > 0n) own.set('cpu', vcpus * ONE)
  const { guest, hugepages } = domain?.memory ?? {}
  const memory = amountOf(guest)
  if (memory > 0n) own.set('memory', memory)
  if (hugepages?.pageSize !== undefined && memory > 0n) own.set(`hugepages-${hugepages.pageSize}`, memory)
  return own
}

/** Exact, whatever the numbers; 0 where no part of the topology is said. */
function vcpusOf(cpu: VmiSpec['domain']['cpu'] | undefined): bigint {
  const parts = [cpu?.cores, cpu?.sockets, cpu?.threads].filter(isCount)
  return parts.length === 0 ? 0n : parts.reduce((product, part) => product * BigInt(part), 1n)
}

function isCount(value: number | undefined): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0
}

/** Devices of the host that the guest is given: one of its resource for each. */
function devicesOf({ domain }: Pick<VmiSpec, 'domain'>): Map<string, bigint> {
  const { gpus = [], hostDevices = [] } = domain?.devices ?? {}
  const found = new Map<string, bigint>()
  for (const { deviceName } of [...gpus, ...hostDevices]) {
    if (deviceName) found.set(deviceName, (found.get(deviceName) ?? 0n) + ONE)
  }
  return found
}

function amountOf(text: QuantityText | undefined): bigint {
  return text === undefined ? 0n : (readAmounts({ text }).get('text') ?? 0n)
}
