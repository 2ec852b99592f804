import { isFinal, NODE_NAME_LABEL } from '../../kinds/kubevirt.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import type { GuestReport } from '../../rpc/actions.ts'
import { replaceOwned } from '../conditions.ts'
import { advance } from './phases.ts'
import { epochOf, incomingOf } from './placed.ts'

/** Conditions that a node speaks of. Source: contract worker-qemu 6.1. */
const NODE_CONDITIONS = [
  'Paused',
  'AgentConnected',
  'AgentVersionNotSupported',
  'LiveMigratable',
  'StorageLiveMigratable',
  'AccessCredentialsSynchronized',
  'Synchronized',
  'HotVCPUChange',
  'HotMemoryChange',
  'SoftwareEmulation',
]

/** Members of `VMI.status` that a node speaks of: what its report lacks is removed. */
const NODE_FIELDS = [
  'interfaces',
  'volumeStatus',
  'machine',
  'memory',
  'currentCPUTopology',
  'guestOSInfo',
  'fsFreezeStatus',
  'kernelBootStatus',
  'migrationMethod',
  'changedBlockTracking',
  'VSOCKCID',
] as const satisfies readonly (keyof GuestReport['status'])[]

/**
 * Whether the report is of a guest that has just left the node, while the one it went to has not confirmed that yet:
 * what is left at the source says nothing of the guest.
 */
export function isHandingOver(vmi: Vmi, { migration }: GuestReport): boolean {
  if (!incomingOf(vmi) || migration?.phase !== 'handedOver') return false
  return migration.migrationUid === vmi.status?.migrationState?.migrationUid
}

/**
 * The VMI with what its node reports: phase, the node's conditions as a set, the node's fields. A VMI that has
 * ended keeps its end, whatever comes later. A report from before the guest changed hands is left aside.
 */
export function mergeReport(vmi: Vmi, nodeName: string, report: GuestReport, now: string): Vmi {
  if (report.epoch < epochOf(vmi) || isFinal(vmi.status?.phase)) return vmi
  const moved = advance(vmi, report.phase, now)
  const conditions = replaceOwned(
    vmi.status?.conditions ?? [],
    (type) => NODE_CONDITIONS.includes(type),
    report.conditions.filter(({ type }) => NODE_CONDITIONS.includes(type)),
    now,
  )
  const { reason: _reason, ...status } = withFields(moved.status ?? {}, report.status)
  return {
    ...moved,
    metadata: { ...vmi.metadata, labels: { ...vmi.metadata.labels, [NODE_NAME_LABEL]: nodeName } },
    status: {
      ...status,
      nodeName,
      migrationTransport: 'Unix',
      conditions: [...conditions],
      ...(report.reason && { reason: report.reason }),
    },
  }
}

function withFields<T extends GuestReport['status']>(status: T, fields: GuestReport['status']): T {
  const next = { ...status }
  for (const name of NODE_FIELDS) delete next[name]
  return { ...next, ...pick(fields) }
}

function pick(fields: GuestReport['status']): GuestReport['status'] {
  return Object.fromEntries(
    NODE_FIELDS.flatMap((name) => (fields[name] === undefined ? [] : [[name, fields[name]]])),
  )
}
