import { checkLabelValue, checkQualifiedName } from '../../lib/names.ts'
import type { Node } from '../../kinds/core.ts'
import type { Condition } from '../../kinds/meta.ts'
import { BRIDGES, SCHEDULABLE_LABEL, WORKER_LABEL } from '../../kinds/worker-lease.ts'
import type { NodeInfo } from '../../rpc/actions.ts'
import { withCondition } from '../conditions.ts'

const MACHINE_TYPE_PREFIX = 'machine-type.node.kubevirt.io/'
const CPU_MODEL_PREFIX = 'cpu-model.node.kubevirt.io/'
const CPU_FEATURE_PREFIX = 'cpu-feature.node.kubevirt.io/'
/** What the worker has said makes these; others of them are taken away. */
const OWN_PREFIXES = [MACHINE_TYPE_PREFIX, CPU_MODEL_PREFIX, CPU_FEATURE_PREFIX]
/** When the worker was last heard of; RFC 3339. Source: KubeVirt's node labels. */
export const HEARTBEAT = 'kubevirt.io/heartbeat'
/** Guests a node offers KVM to. Source: KubeVirt's device plugin, "1k". */
const KVM_GUESTS = '1k'
const ARCHITECTURES: Record<string, string> = { x86_64: 'amd64', aarch64: 'arm64' }

/** Labels that tell what the node's QEMU can do. Those of what it cannot do any more are absent. */
export function capabilityLabels(info: NodeInfo): Record<string, string> {
  const names = [
    ...info.machineTypes.map((type) => MACHINE_TYPE_PREFIX + type),
    ...info.cpuModels.map((model) => CPU_MODEL_PREFIX + model),
    ...(info.cpuFeatures ?? []).map((feature) => CPU_FEATURE_PREFIX + feature),
  ]
  const valid = names.filter((name) => checkQualifiedName(name).length === 0)
  return {
    [SCHEDULABLE_LABEL]: 'true',
    'virtgate.io/accelerator': info.accelerator,
    ...Object.fromEntries(valid.map((name) => [name, 'true'])),
  }
}

/** Annotations that tell what runs on the node, and what is there for guests. */
export function nodeAnnotations(info: NodeInfo): Record<string, string> {
  return {
    'virtgate.io/version': info.version,
    'virtgate.io/qemu-version': info.qemuVersion,
    ...(info.bridges && { [BRIDGES]: info.bridges.join(',') }),
  }
}

/** Labels that every Kubernetes node carries. */
export function commonLabels(info: NodeInfo): Record<string, string> {
  const { nodeName } = info
  return {
    ...(checkLabelValue(nodeName).length === 0 && { 'kubernetes.io/hostname': nodeName }),
    'kubernetes.io/arch': goArchitecture(info),
    'kubernetes.io/os': 'linux',
    [WORKER_LABEL]: 'true',
  }
}

/** The labels with ours as they are now, and those of others as they were. */
export function mergeLabels(
  before: Record<string, string> | undefined,
  ours: Record<string, string>,
): Record<string, string> {
  const others = Object.entries(before ?? {}).filter(
    ([name]) => !OWN_PREFIXES.some((prefix) => name.startsWith(prefix)),
  )
  return { ...Object.fromEntries(others), ...ours }
}

function goArchitecture({ architecture }: NodeInfo): string {
  return ARCHITECTURES[architecture] ?? architecture
}

/** A connected node's status, `before` being the one it had. */
export function buildNodeStatus(
  info: NodeInfo,
  before: Node['status'],
  now: string,
): NonNullable<Node['status']> {
  const resources = {
    cpu: String(info.capacity.cpus),
    memory: `${Math.floor(info.capacity.memoryBytes / 1024)}Ki`,
    'devices.kubevirt.io/kvm': info.accelerator === 'kvm' ? KVM_GUESTS : '0',
  }
  const message =
    info.accelerator === 'kvm' ? 'guests run with KVM' : `guests are emulated: ${info.acceleratorNote}`
  const ready: Condition = { type: 'Ready', status: 'True', reason: 'WorkerReady', message }
  return {
    ...before,
    capacity: resources,
    allocatable: resources,
    conditions: withHeartbeat(before?.conditions, ready, now),
    nodeInfo: {
      architecture: goArchitecture(info),
      bootID: info.bootId,
      containerRuntimeVersion: `qemu://${info.qemuVersion}`,
      kernelVersion: '',
      kubeProxyVersion: '',
      kubeletVersion: `v${info.version}`,
      machineID: '',
      operatingSystem: 'linux',
      osImage: '',
      systemUUID: '',
    },
  }
}

/** The status of a node that has not been heard of for a while. */
export function buildAwayStatus(before: Node['status'], now: string): NonNullable<Node['status']> {
  const message = 'the worker does not answer; its guests may still run'
  const ready: Condition = { type: 'Ready', status: 'Unknown', reason: 'NodeStatusUnknown', message }
  return { ...before, conditions: [...withCondition(before?.conditions ?? [], ready, now)] }
}

/** Nodes, unlike other kinds, tell with each condition when it was last looked at. */
function withHeartbeat(before: Condition[] | undefined, condition: Condition, now: string): Condition[] {
  return withCondition(before ?? [], condition, now).map((one) => {
    if (one.type !== condition.type) return one
    const { lastProbeTime: _probe, ...rest } = one
    return Object.assign(rest, { lastHeartbeatTime: now })
  })
}
