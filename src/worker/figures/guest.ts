/** All series of one guest. Source: contract metrics.md, section 4. */
import type { Vmi } from '../../kinds/kubevirt.ts'
import { isQuantity, quantityToBytes } from '../../lib/quantity.ts'
import { VMI_LABEL_PREFIX } from '../../metrics/families/worker.ts'
import { labelName } from '../../metrics/labels.ts'
import { withoutRepeats, type Reading } from '../../metrics/reading.ts'
import type { GuestLoad } from '../../qemu/qga/answers.ts'
import type { AgentInfo } from '../../rpc/actions.ts'
import type { GuestState } from '../guest/state.ts'
import type { Machine } from '../guest/machine.ts'
import { isSending } from '../migration/state.ts'
import { readCards } from './network.ts'
import { readProcess, readThread } from './process.ts'
import { readDisks, readMemory, readVcpus } from './qemu.ts'

/** What is read of a guest. */
export interface ObservedGuest {
  state: Readonly<GuestState>
  /** What is wanted of it: has its labels. */
  vmi: Vmi
  machine: Pick<Machine, 'process' | 'command'>
  /** What its agent has said last; absent where it has none. */
  agent: AgentInfo | undefined
  /** Its load, as its agent has said last. */
  load?: GuestLoad | undefined
}

const LOADS = ['1m', '5m', '15m'] as const

type Labels = Record<string, string>

/** Parts of it that are read by themselves: one that fails or hangs leaves the others. */
export function readingsOf(node: string, guest: ObservedGuest): Promise<Reading[]>[] {
  const { state, vmi, machine, agent, load } = guest
  const own = { node, namespace: vmi.metadata.namespace, name: vmi.metadata.name }
  const labels = { ...labelsOf(vmi), ...own }
  return [
    ofVcpus(machine, labels),
    ofMemory(machine, labels),
    ofDisks(machine, labels),
    Promise.resolve([
      ...ofProcess(machine, labels),
      ...ofCards(state, labels),
      ...ofState(state, labels),
      ...ofMigration(state, labels, own),
      ...ofFilesystems(agent, labels),
      ...ofLoad(load, labels),
    ]),
  ]
}

function labelsOf({ metadata }: Vmi): Labels {
  const entries = Object.entries(metadata.labels ?? {})
  return Object.fromEntries(entries.map(([key, value]) => [labelName(VMI_LABEL_PREFIX, key), value]))
}

function ofProcess({ process }: ObservedGuest['machine'], labels: Labels): Reading[] {
  const found = readProcess(process)
  if (!found) return []
  const { userSeconds, systemSeconds, residentBytes } = found
  return [
    { name: 'kubevirt_vmi_cpu_usage_seconds_total', labels, value: userSeconds + systemSeconds },
    { name: 'kubevirt_vmi_cpu_user_usage_seconds_total', labels, value: userSeconds },
    { name: 'kubevirt_vmi_cpu_system_usage_seconds_total', labels, value: systemSeconds },
    ...some('kubevirt_vmi_memory_resident_bytes', labels, residentBytes),
  ]
}

async function ofVcpus(machine: ObservedGuest['machine'], labels: Labels): Promise<Reading[]> {
  const vcpus = await readVcpus(machine)
  return vcpus.flatMap(({ id, threadId }) => {
    const thread = readThread(machine.process.pid, threadId)
    if (!thread) return []
    const { runSeconds, delaySeconds, waitSeconds } = thread
    return [
      {
        name: 'kubevirt_vmi_vcpu_seconds_total',
        labels: { ...labels, id, state: 'running' },
        value: runSeconds,
      },
      { name: 'kubevirt_vmi_vcpu_delay_seconds_total', labels: { ...labels, id }, value: delaySeconds },
      ...some('kubevirt_vmi_vcpu_wait_seconds_total', { ...labels, id }, waitSeconds),
    ]
  })
}

async function ofMemory(machine: ObservedGuest['machine'], labels: Labels): Promise<Reading[]> {
  const figures = await readMemory(machine)
  return figures.map(({ series, value }) => ({ name: `kubevirt_vmi_memory_${series}`, labels, value }))
}

async function ofDisks(machine: ObservedGuest['machine'], labels: Labels): Promise<Reading[]> {
  const figures = await readDisks(machine)
  return figures.map(({ drive, series, value }) => ({
    name: `kubevirt_vmi_storage_${series}`,
    labels: { ...labels, drive },
    value,
  }))
}

function ofCards({ taps = [] }: Readonly<GuestState>, labels: Labels): Reading[] {
  const figures = readCards(taps)
  return figures.flatMap(({ card, series, value }) => {
    const own = { ...labels, interface: card }
    const reading = { name: `kubevirt_vmi_network_${series}`, labels: own, value }
    if (!series.endsWith('_bytes_total')) return [reading]
    const type = series.startsWith('receive') ? 'rx' : 'tx'
    return [reading, { name: 'kubevirt_vmi_network_traffic_bytes_total', labels: { ...own, type }, value }]
  })
}

function ofState({ status }: Readonly<GuestState>, labels: Labels): Reading[] {
  const memory = status.memory?.guestCurrent
  const domain = isQuantity(memory) ? Number(quantityToBytes(memory)) : undefined
  return some('kubevirt_vmi_memory_domain_bytes', labels, domain)
}

/** As QEMU was asked last; it is asked again and again while the guest moves. */
function ofMigration({ migration }: Readonly<GuestState>, labels: Labels, own: Labels): Reading[] {
  if (!isSending(migration)) return []
  const { progress, rates } = migration
  return [
    ...some('kubevirt_vmi_dirty_rate_bytes_per_second', labels, rates?.dirty),
    ...some('kubevirt_vmi_migration_dirty_memory_rate_bytes', own, rates?.dirty),
    ...some('kubevirt_vmi_migration_memory_transfer_rate_bytes', own, rates?.sent),
    ...some('kubevirt_vmi_migration_data_bytes_total', own, progress?.totalBytes),
    ...some('kubevirt_vmi_migration_data_processed_bytes', own, progress?.transferredBytes),
    ...some('kubevirt_vmi_migration_data_remaining_bytes', own, progress?.remainingBytes),
  ]
}

function ofFilesystems(agent: AgentInfo | undefined, labels: Labels): Reading[] {
  return ['capacity', 'used'].flatMap((what) =>
    withoutRepeats(
      (agent?.filesystems ?? []).map(({ diskName, mountPoint, fileSystemType, usedBytes, totalBytes }) => ({
        name: `kubevirt_vmi_filesystem_${what}_bytes`,
        labels: { ...labels, disk_name: diskName, mount_point: mountPoint, file_system_type: fileSystemType },
        value: what === 'used' ? usedBytes : totalBytes,
      })),
    ),
  )
}

function ofLoad(load: GuestLoad | undefined, labels: Labels): Reading[] {
  if (!load) return []
  return LOADS.flatMap((time) => some(`kubevirt_vmi_guest_load_${time}`, labels, load[time]))
}

function some(name: string, labels: Labels, value: number | undefined): Reading[] {
  return value === undefined ? [] : [{ name, labels, value }]
}
