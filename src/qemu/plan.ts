import type { VmiSpec } from '../kinds/kubevirt.ts'

/** A volume of the guest as the files QEMU opens. */
export interface DiskFile {
  /** Name of the volume and of its disk. */
  name: string
  /** Absolute path. */
  file: string
  /** Never probed: stated by whoever made or vetted the file. */
  format: 'raw' | 'qcow2'
  readOnly: boolean
  /** The base that a qcow2 overlay of ours stands on; opened read-only with this format. */
  backing?: { file: string; format: 'raw' | 'qcow2' }
  /** Whether `file` is a block device of the host. */
  blockDevice?: boolean
  /**
   * Whether the file and its base can be opened past the page cache: `supportsDirectIo` tells. Decides the cache
   * mode where the spec does not; unknown is taken for no.
   */
  directIo?: boolean
  /** Sizes of the blocks it is made of, in bytes. Needed where the spec has `blockSize.matchVolume`. */
  blockSize?: { logical: number; physical: number }
}

/** Where the parts of one guest's QEMU stand. All absolute; socket paths stay below 108 bytes. */
export interface GuestPaths {
  /** Sockets and pid file; readable by QEMU's user alone. */
  runDir: string
  /** What survives a reboot: state, log, disks. */
  stateDir: string
}

/** All that a QEMU command line is made from. */
export interface MachinePlan {
  uid: string
  namespace: string
  name: string
  spec: VmiSpec
  paths: GuestPaths
  disks: DiskFile[]
  /** Present for EFI: code is read-only, vars is the guest's own copy. */
  efi?: { code: string; vars: string; secureBoot: boolean }
  kernelBoot?: { kernel?: string; initrd?: string; args?: string }
  accelerator: 'kvm' | 'tcg'
  /** Concrete machine type, such as `pc-q35-7.2`. */
  machineType: string
  /** Device id → root port, kept from one start to the next so that guests see stable addresses. */
  slots: Record<string, string>
  /** How many root ports there are, spare ones included: where another QEMU has chosen that already. */
  rootPorts?: number
  /**
   * Ids of disks that were added to the running guest, which is on its way here: they are what they were there, whatever
   * they would be had it been started with them.
   */
  plugged?: readonly string[]
  /** QEMU waits for the guest's state, and for being told where to listen for it. */
  incoming?: boolean
  /** Interface → device of the host that it is connected by, and what fits in its packets where that is stated. */
  taps?: Record<string, { device: string; mtu?: number }>
  /** Context id and descriptor of the device that gives the guest vsock, where the host has one. */
  vsock?: { cid: number; fd: number }
  /** How a guest's memory is encrypted, where the host can: files hold base64. */
  sev?: { cbitpos: number; reducedPhysBits: number; sessionFile?: string; dhCertFile?: string }
  /** What the binary can do, from the probe. */
  qemuVersion: { major: number; minor: number }
  /** CPU features a guest can have here, from the probe. Decides over features that are `optional` or `forbid`. */
  cpuFeatures?: readonly string[]
  /** Devices the binary knows, from the probe. Where absent, QEMU itself refuses what it does not know. */
  deviceTypes?: readonly string[]
}
