import type { MachinePlan } from '../../qemu/plan.ts'
import type { GuestState } from '../guest/state.ts'
import type { DiskRecord } from './disks.ts'

/** Why a guest cannot be moved. */
export interface NotMigratable {
  /** Of the condition `LiveMigratable`. Source: contract 7.5. */
  reason: string
  message: string
}

/** Why a guest with these disks cannot be moved to another node; `undefined` where it can. */
export function whyNotMigratable(
  plan: Pick<MachinePlan, 'spec' | 'accelerator'>,
  disks: readonly DiskRecord[],
): NotMigratable | undefined {
  const { domain } = plan.spec
  const { devices, features } = domain
  const local = disks.find(({ role }) => role === 'local')
  if (local) {
    return {
      reason: 'DisksNotLiveMigratable',
      message: `the volume ${local.name} is a file of this node alone: use a volume that all nodes share`,
    }
  }
  if (devices.disks?.some(({ lun }) => lun?.reservation))
    return no('PersistentReservationNotLiveMigratable', 'a disk holds persistent reservations')
  if (devices.filesystems?.length)
    return no('VirtIOFSNotLiveMigratable', 'the guest shares file systems with this node')
  if (devices.hostDevices?.length || devices.gpus?.length)
    return no('HostDeviceNotLiveMigratable', 'the guest has devices of this node')
  const bound = devices.interfaces?.find((card) => isBoundHere(card, plan.spec.networks))
  if (bound)
    return no('InterfaceNotLiveMigratable', `the interface ${bound.name} is bound to this node's own network`)
  if (domain.launchSecurity?.tdx) return no('TDXNotLiveMigratable', 'the guest is encrypted with TDX')
  if (domain.launchSecurity) return no('SEVNotLiveMigratable', 'the memory of the guest is encrypted')
  if (features?.hypervPassthrough?.enabled)
    return no('HypervPassthroughNotLiveMigratable', "the guest has all of this node's Hyper-V features")
  if (plan.accelerator === 'kvm' && features?.hyperv?.reenlightenment?.enabled)
    return no('NoTSCFrequencyNotLiveMigratable', 'the guest relies on the frequency of this node’s TSC')
  // See `ODD_BYTES` in src/qemu/argv/memory.ts: huge pages leave no room for the way around it.
  if (plan.accelerator === 'tcg' && domain.memory?.hugepages)
    return no(
      'EmulatedHugepagesNotLiveMigratable',
      'QEMU would lose writes to the huge pages of an emulated guest',
    )
  return undefined
}

type Spec = MachinePlan['spec']
type Interface = NonNullable<Spec['domain']['devices']['interfaces']>[number]

/** Whether a card is of this node alone. A bridge that a network of Multus names may be on others, too. */
function isBoundHere({ name, bridge, sriov }: Interface, networks: Spec['networks'] = []): boolean {
  return sriov !== undefined || (bridge !== undefined && !networks.find((one) => one.name === name)?.multus)
}

/** Why a guest cannot be moved, by what is written down of it; `undefined` where it can. */
export function notMigratableOf({
  notMigratable,
  plugged = {},
}: Pick<GuestState, 'notMigratable' | 'plugged'>): NotMigratable | undefined {
  return notMigratable ?? whyPluggedNotMigratable(Object.values(plugged).map(({ disk }) => disk))
}

/** As `whyNotMigratable`, for disks that were added to the running guest. */
function whyPluggedNotMigratable(disks: readonly DiskRecord[]): NotMigratable | undefined {
  const local = disks.find(({ role }) => role === 'local')
  if (!local) return undefined
  return {
    reason: 'HotplugNotLiveMigratable',
    message: `the volume ${local.name}, which was added, is a file of this node alone: use a volume that all nodes share`,
  }
}

function no(reason: string, message: string): NotMigratable {
  return { reason, message: `${message}; it cannot be moved` }
}
