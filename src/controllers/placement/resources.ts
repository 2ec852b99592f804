import type { Vmi } from '../../kinds/kubevirt.ts'
import { memoryOverheadBytes } from '../../kinds/overhead.ts'
import { addAmounts, ONE, readAmounts, type Amounts } from '../../quota/amounts.ts'
import { readGuest } from '../../quota/guest.ts'
import type { Candidate, PlacementConfig, Situation } from './situation.ts'

/** The node resource that says how many guests may use KVM. */
export const KVM_RESOURCE = 'devices.kubevirt.io/kvm'

/**
 * What a guest takes of its node, by the names of a node's resources: its requests in guest terms with what QEMU takes beside
 * them. Where it does not say how much CPU it asks for, its vCPUs count by the allocation ratio; pinned ones in full.
 */
export function demandOf({ spec }: Pick<Vmi, 'spec'>, config: PlacementConfig): Amounts {
  const { domain } = spec
  const guest = readGuest(spec)
  const said = readAmounts({ ...domain.resources?.limits, ...domain.resources?.requests })
  const demand = new Map(guest.requests)
  const vcpus = guest.own.get('cpu') ?? ONE
  const pinned = domain.cpu?.dedicatedCpuPlacement === true
  demand.set('cpu', said.get('cpu') ?? (pinned ? vcpus : sharedOf(vcpus, config)))
  const memory = guest.requests.get('memory') || (said.get('memory') ?? 0n)
  demand.set('memory', memory + memoryOverheadBytes(spec) * ONE)
  if (!config.allowEmulation) demand.set(KVM_RESOURCE, ONE)
  return demand
}

function sharedOf(vcpus: bigint, { cpuAllocationRatio }: PlacementConfig): bigint {
  return (vcpus * 1000n) / BigInt(Math.max(1, Math.round(cpuAllocationRatio * 1000)))
}

/** What the guests of a node take of it, the guest in question aside. */
export function takenOf(nodeName: string, uid: string, { guests, config }: Situation): Amounts {
  return guests
    .filter((guest) => guest.nodeName === nodeName && guest.vmi.metadata.uid !== uid)
    .reduce((sum: Amounts, guest) => addAmounts(sum, demandOf(guest.vmi, config)), new Map())
}

/** The resources of which the node has not enough left: one refusal each, as kube-scheduler counts them. */
export function shortages(vmi: Vmi, { node }: Candidate, situation: Situation): string[] {
  const allocatable = readAmounts(node.status?.allocatable)
  const taken = takenOf(node.metadata.name, vmi.metadata.uid, situation)
  return [...demandOf(vmi, situation.config)]
    .filter(([name, amount]) => amount > 0n && isCounted(name, allocatable))
    .filter(([name, amount]) => (taken.get(name) ?? 0n) + amount > (allocatable.get(name) ?? 0n))
    .map(([name]) => `Insufficient ${name}`)
}

/** CPU, memory, KVM and devices count always: a node that is just being made known has nothing. Of the rest what it tells. */
function isCounted(name: string, allocatable: Amounts): boolean {
  return allocatable.has(name) || name === 'cpu' || name === 'memory' || name.includes('/')
}

/** The share of the node's memory that would be left free, from 0 to 1. */
export function freeShare(vmi: Vmi, { node }: Candidate, situation: Situation): number {
  const memory = readAmounts(node.status?.allocatable).get('memory') ?? 0n
  if (memory === 0n) return 0
  const taken = takenOf(node.metadata.name, vmi.metadata.uid, situation).get('memory') ?? 0n
  const wanted = demandOf(vmi, situation.config).get('memory') ?? 0n
  const left = memory - taken - wanted
  return left > 0n ? Number((left * 1_000_000n) / memory) / 1_000_000 : 0
}
