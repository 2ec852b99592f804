/** What is told of VMs. Source: contract metrics.md, section 3. */
import { readClaim } from '../kinds/claims.ts'
import type { PersistentVolumeClaim } from '../kinds/core.ts'
import type { Vm, VmiSpec } from '../kinds/kubevirt.ts'
import { claimNameOf } from '../kinds/volumes.ts'
import { nicReadings } from './nics.ts'
import { labelName } from './labels.ts'
import type { Reading } from './reading.ts'
import { requestReadings } from './requests.ts'

/** Dashboards select on it where nothing is known. */
const NONE = '<none>'

/** Source: contract 3.1. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  starting: ['Provisioning', 'Starting', 'WaitingForVolumeBinding'],
  running: ['Running'],
  migrating: ['Migrating'],
  non_running: ['Stopped', 'Paused', 'Stopping', 'Terminating'],
  error: [
    'CrashLoopBackOff',
    'Unknown',
    'ErrorUnschedulable',
    'ErrImagePull',
    'ImagePullBackOff',
    'ErrorPvcNotFound',
    'DataVolumeError',
  ],
}

/** What is looked up for a VM. */
export interface VmFacts {
  /** A claim of its namespace. */
  claim: (name: string) => PersistentVolumeClaim | undefined
  /** Whether the label of that key is told. */
  isTold: (key: string) => boolean
}

/** The series of one VM but those of `specReadings`. */
export function vmReadings(vm: Vm, { claim, isTold }: VmFacts): Reading[] {
  const { name, namespace, creationTimestamp } = vm.metadata
  const labels = { name, namespace }
  return [
    infoOf(vm),
    { name: 'kubevirt_vm_labels', labels: { ...labels, ...labelsOf(vm, isTold) }, value: 1 },
    {
      name: 'kubevirt_vm_create_date_timestamp_seconds',
      labels,
      value: Date.parse(creationTimestamp) / 1000,
    },
    ...transitionsOf(vm),
    ...diskReadings(vm.spec.template.spec, labels, claim),
  ]
}

/** What a VM asks for: instance type and preference are written out in `spec`. */
export function specReadings({ name, namespace }: Vm['metadata'], spec: VmiSpec): Reading[] {
  const labels = { name, namespace }
  return [...requestReadings(spec, labels), ...nicReadings('kubevirt_vm_vnic_info', spec, labels)]
}

function infoOf({ metadata, spec, status }: Vm): Reading {
  const { template, instancetype, preference } = spec
  const { annotations = {} } = template.metadata ?? {}
  return {
    name: 'kubevirt_vm_info',
    labels: {
      name: metadata.name,
      namespace: metadata.namespace,
      os: annotations['vm.kubevirt.io/os'] ?? NONE,
      workload: annotations['vm.kubevirt.io/workload'] ?? NONE,
      flavor: annotations['vm.kubevirt.io/flavor'] ?? NONE,
      machine_type: template.spec.domain?.machine?.type || NONE,
      instance_type: instancetype?.name || NONE,
      preference: preference?.name || NONE,
      status: status?.printableStatus?.toLowerCase() ?? '',
      status_group: groupOf(status?.printableStatus) ?? '<unknown>',
    },
    value: 1,
  }
}

function groupOf(printable: string | undefined): string | undefined {
  return Object.keys(GROUPS).find((group) => GROUPS[group]?.some((status) => status === printable))
}

/** Source: contract 3.2. */
function transitionsOf({ metadata: { name, namespace }, status }: Vm): Reading[] {
  const present = groupOf(status?.printableStatus)
  const times = (status?.conditions ?? [])
    .filter(({ type }) => ['Ready', 'Failure', 'Paused'].includes(type))
    .map(({ lastTransitionTime }) => Date.parse(lastTransitionTime ?? '') / 1000)
  const newest = Math.max(0, ...times.filter(Number.isFinite))
  return Object.keys(GROUPS).map((group) => ({
    name: `kubevirt_vm_${group}_status_last_transition_timestamp_seconds`,
    labels: { name, namespace },
    value: group === present ? newest : 0,
  }))
}

function labelsOf({ metadata: { labels = {} } }: Vm, isTold: VmFacts['isTold']): Record<string, string> {
  const told = Object.entries(labels).filter(([key]) => isTold(key))
  return Object.fromEntries(told.map(([key, value]) => [labelName('label_', key), value]))
}

function diskReadings(
  { volumes = [] }: VmiSpec,
  labels: Record<string, string>,
  find: VmFacts['claim'],
): Reading[] {
  return volumes.flatMap((volume) => {
    const claimName = claimNameOf(volume)
    const claim = claimName === undefined || volume.memoryDump ? undefined : find(claimName)
    if (!claim) return []
    const { volumeMode, capacityBytes, requestedBytes } = readClaim(claim)
    const more = { persistentvolumeclaim: claim.metadata.name, volume_mode: volumeMode, device: volume.name }
    return [
      {
        name: 'kubevirt_vm_disk_allocated_size_bytes',
        labels: { ...labels, ...more },
        value: Number(capacityBytes ?? requestedBytes),
      },
    ]
  })
}

/** Which labels of VMs are told. Source: contract section 3: ConfigMap `kubevirt-vm-labels-config`. */
export function labelChoice(data: Record<string, string> | undefined): (key: string) => boolean {
  const allowed = new Set(keysOf(data?.['allowlist'] ?? '*'))
  const ignored = new Set(keysOf(data?.['ignorelist'] ?? ''))
  return (key) => !ignored.has(key) && (allowed.has('*') || allowed.has(key))
}

function keysOf(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean)
}
