import type { MachinePlan } from '../plan.ts'
import type { Build } from './build.ts'
import { formatPairs, type Pair } from './command-line.ts'
import { invalidConfig, needsKvm, unsupportedDevice } from './error.ts'
import { readCpus } from './quantities.ts'
import { checkWord, DOMAIN, oneOf, type Domain } from './spec.ts'

/**
 * More need interrupt remapping, which is not built yet. Where the spec only leaves room for more, the room is made
 * smaller: the API asks for four times the sockets of its own accord.
 */
const VCPU_LIMIT = 255
const CPU = DOMAIN.child('cpu')
const POLICIES = ['force', 'require', 'optional', 'disable', 'forbid'] as const

interface Topology {
  sockets: number
  cores: number
  threads: number
  maxSockets: number
}

/** How many virtual CPUs the guest starts with. Throws `InvalidConfiguration` where these are too many. */
export function countVcpus(plan: MachinePlan): number {
  const { sockets, cores, threads } = topologyOf(plan.spec.domain)
  const count = sockets * cores * threads
  if (count <= VCPU_LIMIT) return count
  throw invalidConfig(
    CPU,
    `${count} vCPUs (sockets × cores × threads) are more than the ${VCPU_LIMIT} possible: lower one of them`,
  )
}

/** `-smp`: the CPUs there are and the sockets there is room for. */
export function addTopology({ plan, line, vcpus }: Build): void {
  const { cores, threads, maxSockets } = topologyOf(plan.spec.domain)
  const pairs: Pair[] = [
    ['cpus', vcpus],
    ['maxcpus', maxSockets * cores * threads],
    ['sockets', maxSockets],
    ['cores', cores],
    ['threads', threads],
  ]
  line.keyed('-smp', pairs)
}

function topologyOf({ cpu = {}, resources }: Domain): Topology {
  const { cores, threads } = cpu
  const isUnset = !cpu.sockets && !cores && !threads
  const sockets = isUnset ? wholeCpus(resources) : cpu.sockets || 1
  const perSocket = (cores || 1) * (threads || 1)
  const room = Math.min(cpu.maxSockets ?? 0, Math.floor(VCPU_LIMIT / perSocket))
  return { sockets, cores: cores || 1, threads: threads || 1, maxSockets: Math.max(sockets, room) }
}

/** What the guest may use, or what it asks for; at least one. */
function wholeCpus(resources: Domain['resources']): number {
  const kind = resources?.limits?.cpu === undefined ? 'requests' : 'limits'
  const quantity = resources?.[kind]?.cpu
  if (quantity === undefined) return 1
  return Math.max(1, readCpus(quantity, DOMAIN.child('resources', kind, 'cpu')))
}

/** `-cpu`: the model, its features, and what other groups have added. */
export function addCpu({ plan, line, cpuFlags }: Build): void {
  const features = (plan.spec.domain.cpu?.features ?? []).flatMap((_, index) => featureFlag(plan, index))
  line.text('-cpu', [...modelFlags(plan), ...features, ...cpuFlags].join(','))
}

/**
 * Under KVM the model of the host in the form that can be migrated between equals; without KVM all that can be
 * emulated, but for five-level page tables, which cost time and which no guest that fits here needs.
 */
function modelFlags({ spec, accelerator }: MachinePlan): string[] {
  const model = spec.domain.cpu?.model || 'host-model'
  const at = CPU.child('model')
  if (model === 'host-model') return accelerator === 'kvm' ? ['host', 'migratable=on'] : ['max', 'la57=off']
  if (model === 'host-passthrough') {
    if (accelerator === 'kvm') return ['host', 'migratable=on']
    throw needsKvm(
      at,
      'host-passthrough needs KVM, which does not work on this node: use host-model or a named model',
    )
  }
  // Without `enforce` QEMU would quietly leave out what the host lacks; without KVM it lacks something of most models.
  return accelerator === 'kvm' ? [checkWord(model, at), 'enforce=on'] : [checkWord(model, at)]
}

function featureFlag({ spec, cpuFeatures }: MachinePlan, index: number): string[] {
  const { name = '', policy } = spec.domain.cpu?.features?.[index] ?? {}
  const at = CPU.child('features').index(index)
  const feature = checkWord(name.replaceAll('_', '-'), at.child('name'))
  const isHere = cpuFeatures?.includes(feature)
  const wanted = oneOf(policy, POLICIES, 'require', at.child('policy'))
  if (wanted === 'optional') return isHere ? [`${feature}=on`] : []
  if (wanted === 'forbid' && isHere) {
    throw unsupportedDevice(
      at,
      `the guest may not run where the CPU has ${feature}, and this node's has it: use another node, or the policy disable`,
    )
  }
  return [`${feature}=${wanted === 'force' || wanted === 'require' ? 'on' : 'off'}`]
}

/** What was collected for `-machine`, with the type in front. */
export function formatMachine({ plan, machine }: Build): string {
  return formatPairs(machine, plan.machineType)
}
