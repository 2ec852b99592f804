import type { FieldPath } from '../../lib/field-path.ts'
import type { MachinePlan } from '../plan.ts'
import type { CommandLine, Pair } from './command-line.ts'
import type { Ports } from './ports.ts'

/** Something the spec asks for that the guest runs without. Worth a `Warning` Event. Source: contract 1.11. */
export interface Degraded {
  field: string
  message: string
}

/** What the device groups add to, each its own part. */
export interface Build {
  readonly plan: MachinePlan
  readonly line: CommandLine
  readonly ports: Ports
  /** Parts of `-machine`, behind its type. */
  readonly machine: Pair[]
  /** Parts of `-cpu`, behind the model. */
  readonly cpuFlags: string[]
  /** What QEMU does about things that happen to the guest: parts of `-action`. */
  readonly actions: Pair[]
  /** How many virtual CPUs the guest starts with. */
  readonly vcpus: number
  /** How much memory it starts with. */
  readonly memoryBytes: number
  /** Addresses on the SCSI controller by the device's id: written by the disks. */
  readonly luns: Map<string, number>
  /** `bootindex` by the device's id. */
  readonly bootIndexes: ReadonlyMap<string, number>
  /** Notes what the guest has to do without. */
  readonly degrade: (field: FieldPath, message: string) => void
}

/** A virtio device is modern unless the spec asks for ones that old guests know too. */
export function virtioDriver(build: Build, kind: string): string {
  return isTransitional(build) ? `virtio-${kind}-pci-transitional` : `virtio-${kind}-pci`
}

/** A slot for a virtio device: transitional ones are conventional PCI devices. */
export function virtioPlace(build: Build, id: string, at: FieldPath): { bus: string; addr?: string } {
  return isTransitional(build) ? build.ports.conventional(id, at) : build.ports.express(id, at)
}

function isTransitional({ plan }: Build): boolean {
  return plan.spec.domain.devices.useVirtioTransitional === true
}
