import { formatBytes } from '../../lib/quantity.ts'
import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { claimNameOf, isHotpluggable, type Volume } from '../../kinds/volumes.ts'
import type { GuestClaim, GuestReport, SyncRequest } from '../../rpc/actions.ts'
import { devicePrefix, letters } from './target.ts'

/** One entry of `status.volumeStatus`. */
export type VolumeStatus = NonNullable<GuestReport['status']['volumeStatus']>[number]

/** Phases of a volume that is plugged in or out. Source: contract 7.5. */
export type PlugPhase =
  | 'Pending'
  | 'Bound'
  | 'AttachedToNode'
  | 'MountedToPod'
  | 'Ready'
  | 'Detaching'
  | 'UnMountedFromPod'

/** Phases of a memory dump. Source: contract 7.5. */
export type DumpPhase =
  | 'Pending'
  | 'MountedToPod'
  | 'MemoryDumpInProgress'
  | 'MemoryDumpCompleted'
  | 'MemoryDumpFailed'

type ClaimInfo = NonNullable<VolumeStatus['persistentVolumeClaimInfo']>

/** What is told of the claim that a volume lies on. */
export function claimInfoOf(claimName: string, claim: GuestClaim): ClaimInfo {
  const { accessModes, volumeMode, capacityBytes, requestedBytes } = claim
  return {
    claimName,
    // Kubernetes' own words for its modes.
    accessModes: accessModes as NonNullable<ClaimInfo['accessModes']>,
    volumeMode,
    ...(capacityBytes !== undefined && { capacity: { storage: formatBytes(BigInt(capacityBytes)) } }),
    requests: { storage: formatBytes(BigInt(requestedBytes)) },
  }
}

/** The claim of a volume as a member of its entry. */
export function claimMember(
  volume: Volume,
  { claims = {} }: Pick<SyncRequest, 'claims'>,
): Pick<VolumeStatus, 'persistentVolumeClaimInfo'> {
  const name = claimNameOf(volume)
  const claim = name !== undefined && Object.hasOwn(claims, name) ? claims[name] : undefined
  return claim && name !== undefined ? { persistentVolumeClaimInfo: claimInfoOf(name, claim) } : {}
}

/** The entries of a guest that has just been given all its volumes on the command line. */
export function startingStatuses(
  statuses: readonly VolumeStatus[],
  request: Pick<SyncRequest, 'claims'> & { vmi: { spec: VmiSpec } },
): VolumeStatus[] {
  const { volumes = [] } = request.vmi.spec
  return statuses.map((status) => {
    const volume = volumes.find(({ name }) => name === status.name)
    if (!volume) return status
    return {
      ...status,
      ...claimMember(volume, request),
      ...(isHotpluggable(volume) && { hotplugVolume: {}, phase: 'Ready' }),
    }
  })
}

/** The entries of a guest's volumes while they are changed: told as they change, and compared in the end. */
export class VolumeStatuses {
  #entries: VolumeStatus[]
  readonly #tell: (entries: VolumeStatus[]) => void

  /** `tell` is called with all entries whenever one changes. */
  constructor(entries: readonly VolumeStatus[], tell: (entries: VolumeStatus[]) => void) {
    this.#entries = [...entries]
    this.#tell = tell
  }

  get entries(): readonly VolumeStatus[] {
    return this.#entries
  }

  find(name: string): VolumeStatus | undefined {
    return this.#entries.find((entry) => entry.name === name)
  }

  /** Whether a volume is one that the guest was started with and keeps. Source: contract VMIU-015. */
  isPermanent(name: string): boolean {
    const entry = this.find(name)
    return entry !== undefined && !entry.hotplugVolume
  }

  /** Sets an entry, whose device keeps the name it had or gets the next one of its bus. */
  set(name: string, bus: string | undefined, members: Omit<VolumeStatus, 'name' | 'target'>): void {
    const before = this.find(name)
    const target = before?.target || this.#targetOn(bus)
    const entry = { name, target, ...members }
    this.#replace(before, entry)
  }

  /** Changes an entry that is there. */
  change(name: string, members: Partial<VolumeStatus>): void {
    const before = this.find(name)
    if (!before) return
    const entry = { ...before, ...members }
    if (!members.message) delete entry.message
    if (!members.reason) delete entry.reason
    this.#replace(before, entry)
  }

  remove(name: string): void {
    const others = this.#entries.filter((entry) => entry.name !== name)
    if (others.length === this.#entries.length) return
    this.#entries = others
    this.#tell(this.#entries)
  }

  #replace(before: VolumeStatus | undefined, entry: VolumeStatus): void {
    this.#entries = before
      ? this.#entries.map((other) => (other === before ? entry : other))
      : [...this.#entries, entry]
    this.#tell(this.#entries)
  }

  /** The name that Linux is likely to give a new disk; '' for what is no disk of the guest. */
  #targetOn(bus: string | undefined): string {
    if (bus === undefined) return ''
    const prefix = devicePrefix(bus)
    const taken = new Set(this.#entries.map(({ target }) => target))
    for (let index = 0; ; index += 1) {
      const target = prefix + letters(index)
      if (!taken.has(target)) return target
    }
  }
}
