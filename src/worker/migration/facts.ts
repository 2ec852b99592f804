import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { isRecord } from '../../lib/json.ts'
import { badRequest } from '../../lib/errors.ts'
import type { MigrationFacts } from '../../rpc/actions.ts'
import type { MachinePlan } from '../../qemu/plan.ts'
import type { Machine } from '../guest/machine.ts'
import type { BuildRecord, GuestState, PluggedRecord } from '../guest/state.ts'
import type { WorkerParts } from '../parts.ts'
import { type DiskRecord, isMirrored } from './disks.ts'
import { MigrationFailed } from './failure.ts'
import { deviceIdOf, macsOf, type Topology, topologyOf, type Visible } from './hardware.ts'

/** Form of the facts; raised when an older worker could not use them any more. */
export const FACTS_FORM = 1

/** Bytes of images made here that go along: they travel in one call. */
export const GENERATED_LIMIT = 8 * 1024 * 1024

/** A disk of the running guest, as the target has to make it. */
export interface DiskFacts extends Pick<DiskRecord, 'name' | 'node' | 'role' | 'format' | 'directIo'> {
  /** As the guest sees it. */
  virtualBytes: number
  /** Contents of a `generated` one, base64. */
  data?: string
  /** Of a shared file, or of the shared base of an overlay: its number, the same wherever its file system is mounted. */
  inode?: string
}

/** What the target has to know of the running guest. */
export interface GuestFacts {
  /** Concrete. */
  machineType: string
  accelerator: 'kvm' | 'tcg'
  /** Value of `-cpu`. */
  cpu: string
  /** All features of the CPU where `cpu` is whatever the node has. */
  cpuFeatures?: string[]
  topology: Topology
  qemuVersion: { major: number; minor: number }
  /** Device id → slot. */
  slots: Record<string, string>
  macs: Record<string, string>
  /** Every option of which the guest sees something. */
  hardware: Visible[]
  disks: DiskFacts[]
  /** Ids of those devices among them that were added while it ran; absent where an older worker has written this. */
  plugged?: string[]
  /** Image reference → digest. */
  images: Record<string, string>
  /** Interface on a bridge → what DHCP servers have given it; absent where an older worker has written this. */
  leases?: Record<string, string[]>
  /** Its user has paused it. */
  paused: boolean
}

/** CPUs that are made of what the node has. */
const NODE_CPUS = /^(host|max)(,|$)/

/** The facts of a running guest. Throws as `Machine.command`, and the system's error. */
export async function collectFacts(
  state: Readonly<GuestState>,
  machine: Machine,
  { acceleration, qemu }: WorkerParts,
): Promise<GuestFacts> {
  const { build, slots, status, pausedBy, taps = [] } = state
  if (!build) throw new Error('a guest of which nothing was written down cannot be described')
  const sizes = await sizesOf(machine)
  const { hardware, disks, plugged } = await readBuild(state, build, machine)
  const cpu = hardware.find(([option]) => option === '-cpu')?.[1] ?? ''
  const { major, minor } = qemu.version
  return {
    machineType: status.machine?.type ?? '',
    accelerator: acceleration.accelerator,
    cpu,
    ...(NODE_CPUS.test(cpu) && { cpuFeatures: qemu.cpuFeatures }),
    topology: topologyOf(hardware),
    qemuVersion: { major, minor },
    slots,
    macs: macsOf(hardware),
    hardware,
    disks: await Promise.all(disks.map((disk) => describeDisk(disk, sizes))),
    ...(plugged.length > 0 && { plugged }),
    images: build.images,
    ...(taps.length > 0 && {
      leases: Object.fromEntries(taps.map((tap) => [tap.interface, tap.leased ?? []])),
    }),
    paused: pausedBy === 'user',
  }
}

/** Read-only code of the firmware: the same wherever the package is. */
const FIRMWARE_NODE = 'pf0'

/** What the guest is built of by now: disks may have come and gone. Throws `MigrationFailed` where that is unclear. */
async function readBuild(
  { plugged = {} }: Readonly<GuestState>,
  build: BuildRecord,
  machine: Machine,
): Promise<Pick<BuildRecord, 'hardware' | 'disks'> & { plugged: string[] }> {
  const drives = await machine.command<{ inserted?: { 'node-name'?: string } }[]>('query-block')
  const nodes = new Set(drives.flatMap(({ inserted }) => inserted?.['node-name'] ?? []))
  const added = Object.entries(plugged).filter(([, { disk }]) => nodes.has(disk.node))
  const names = new Set(added.map(([, { disk }]) => disk.name))
  const stays = ({ name, node }: DiskRecord): boolean => nodes.has(node) && !names.has(name)
  const first = build.disks.filter(stays)
  const gone = new Set(build.disks.filter((disk) => !stays(disk)).map(({ name }) => `ua-${name}`))
  const disks = [...first, ...added.map(([, { disk }]) => disk)]
  const unknown = [...nodes].find(
    (node) => node !== FIRMWARE_NODE && !disks.some((disk) => disk.node === node),
  )
  if (unknown !== undefined)
    throw new MigrationFailed(
      'internal',
      'a medium was put into a drive of the running guest: take it out first',
    )
  return {
    disks,
    plugged: added.map(([id]) => id),
    hardware: [
      ...build.hardware.filter((one) => !gone.has(deviceIdOf(one) ?? '')),
      ...added.map(([, { device }]) => device),
    ],
  }
}

/** What of a build was added at another node while the guest ran there, so that it is known as that here, too. */
export function pluggedIn(
  { disks, hardware }: Pick<BuildRecord, 'hardware' | 'disks'>,
  { plugged = [] }: Pick<MachinePlan, 'plugged'>,
): Record<string, PluggedRecord> | undefined {
  const found = plugged.flatMap((id): [string, PluggedRecord][] => {
    const disk = disks.find(({ name }) => `ua-${name}` === id)
    const device = hardware.find((one) => deviceIdOf(one) === id)
    return disk && device ? [[id, { disk, device }]] : []
  })
  return found.length > 0 ? Object.fromEntries(found) : undefined
}

/** Block node → bytes, as the guest sees them. Throws as `Machine.command`. */
export async function sizesOf(machine: Pick<Machine, 'command'>): Promise<Map<string, number>> {
  const nodes = await machine.command<{ 'node-name': string; image: { 'virtual-size': number } }[]>(
    'query-named-block-nodes',
    { flat: true },
  )
  return new Map(nodes.map((node) => [node['node-name'], node.image['virtual-size']]))
}

async function describeDisk(disk: DiskRecord, sizes: ReadonlyMap<string, number>): Promise<DiskFacts> {
  const { name, node, role, format, file, directIo, base } = disk
  const sharedFile = role === 'shared' ? file : base
  const virtualBytes = sizes.get(node)
  if (virtualBytes === undefined) throw new Error(`QEMU has no block node ${node} for the disk ${name}`)
  return {
    name,
    node,
    role,
    format,
    virtualBytes,
    ...(directIo !== undefined && { directIo }),
    ...(role === 'generated' && { data: await readFile(file, 'base64') }),
    ...(sharedFile !== undefined && { inode: await inodeOf(sharedFile) }),
  }
}

/** Number of a file in its file system. Throws the system's error. */
export async function inodeOf(file: string): Promise<string> {
  return String((await stat(file, { bigint: true })).ino)
}

/** Bytes of the images that were made for the guest and that it cannot write to. */
export async function generatedBytes(disks: readonly DiskRecord[]): Promise<number> {
  const generated = disks.filter(({ role }) => role === 'generated')
  const sizes = await Promise.all(generated.map(async ({ file }) => (await stat(file)).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** The disks that are copied from QEMU to QEMU. */
export function mirroredOf({ disks }: GuestFacts): { node: string; virtualBytes: number }[] {
  return disks.filter(isMirrored).map(({ node, virtualBytes }) => ({ node, virtualBytes }))
}

/** As they travel. */
export function wrapFacts(facts: GuestFacts): MigrationFacts {
  return { form: FACTS_FORM, facts: { ...facts } }
}

/** What another worker has written. Throws 400 where this one cannot use it. */
export function unwrapFacts({ form, facts }: MigrationFacts): GuestFacts {
  if (form !== FACTS_FORM) {
    throw badRequest(
      `the facts of the guest have form ${form}, and this worker knows ${FACTS_FORM}: run the same version on both nodes`,
    )
  }
  const isWhole =
    typeof facts.machineType === 'string' &&
    typeof facts.cpu === 'string' &&
    [facts.topology, facts.slots, facts.macs, facts.images, facts.qemuVersion].every(isRecord) &&
    [facts.hardware, facts.disks].every(Array.isArray)
  if (!isWhole) throw badRequest('the facts of the guest lack something: they are no worker’s')
  // A worker wrote them, and the fields that are followed into were looked at.
  return facts as unknown as GuestFacts
}

/** By this the same guest is known again: facts that were told, and those of now. */
export function digestOf(facts: GuestFacts): string {
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex')
}
