import { open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { memoryOverheadBytes } from '../../kinds/overhead.ts'
import { isRecord, type JsonRecord } from '../../lib/json.ts'
import { parsePairs } from '../../qemu/argv/command-line.ts'
import { readMemorySize } from '../../qemu/argv/memory.ts'
import type { MachinePlan } from '../../qemu/plan.ts'
import { devicePrefix, letters } from '../hotplug/target.ts'
import { formatBytes } from '../../lib/quantity.ts'
import type { GuestReport } from '../../rpc/actions.ts'
import { type DiskRecord, isMirrored } from '../migration/disks.ts'

type Status = GuestReport['status']

const CARD_PREFIX = 'ua-'

/**
 * The members of `VMI.status` that are known once the guest's command line is, read from that: they say what was
 * built, not what was asked for. Nothing the guest says is in them.
 */
export async function statusOf(
  plan: MachinePlan,
  argv: readonly string[],
  disks: readonly DiskRecord[],
): Promise<Status> {
  const memory = memoryOf(argv)
  const kernelBootStatus = await kernelStatusOf(plan)
  return {
    machine: { type: plan.machineType },
    ...(memory && {
      memory: {
        guestAtBoot: memory,
        guestCurrent: memory,
        guestRequested: memory,
        memoryOverhead: formatBytes(memoryOverheadBytes(plan.spec)),
      },
    }),
    currentCPUTopology: topologyOf(argv),
    interfaces: interfacesOf(plan.spec, argv),
    volumeStatus: volumesOf(plan.spec),
    migrationMethod: disks.some(isMirrored) ? 'BlockMigration' : 'LiveMigration',
    ...(kernelBootStatus && { kernelBootStatus }),
    ...(plan.vsock && { VSOCKCID: plan.vsock.cid }),
    ...(isTracked(plan.spec) && { changedBlockTracking: { state: 'Enabled' } }),
  }
}

/** Whether a disk is one whose changes backups are to be made of. */
function isTracked({ domain }: VmiSpec): boolean {
  return (domain.devices.disks ?? []).some(
    (disk) => 'changedBlockTracking' in disk && disk.changedBlockTracking,
  )
}

/** Values of an option, in order. */
function valuesOf(argv: readonly string[], option: string): string[] {
  return argv.flatMap((arg, index) => (arg === option ? (argv[index + 1] ?? []) : []))
}

function jsonOf(argv: readonly string[], option: string): JsonRecord[] {
  return valuesOf(argv, option).flatMap((text) => {
    const value: unknown = text.startsWith('{') ? JSON.parse(text) : undefined
    return isRecord(value) ? [value] : []
  })
}

/** None of the options read here has a comma in a value. */
function pairsOf(argv: readonly string[], option: string): Record<string, string> {
  const [text = ''] = valuesOf(argv, option)
  return parsePairs(text)
}

function topologyOf(argv: readonly string[]): NonNullable<Status['currentCPUTopology']> {
  const { cpus, cores, threads } = pairsOf(argv, '-smp')
  const perSocket = { cores: Number(cores ?? 1), threads: Number(threads ?? 1) }
  return { ...perSocket, sockets: Number(cpus ?? 1) / (perSocket.cores * perSocket.threads) }
}

function memoryOf(argv: readonly string[]): string | undefined {
  const bytes = readMemorySize(pairsOf(argv, '-m').size)
  return bytes === undefined ? undefined : formatBytes(BigInt(bytes))
}

function interfacesOf({ domain }: VmiSpec, argv: readonly string[]): NonNullable<Status['interfaces']> {
  const networks = jsonOf(argv, '-netdev')
  return jsonOf(argv, '-device').flatMap((device) => {
    const network = networks.find(({ id }) => id === device.netdev)
    if (!network) return []
    const name = String(device.id).slice(CARD_PREFIX.length)
    const address = typeof network.dhcpstart === 'string' ? network.dhcpstart : undefined
    const isDown = domain.devices.interfaces?.find((one) => one.name === name)?.state === 'down'
    return {
      name,
      mac: String(device.mac),
      // What QEMU's own DHCP server gives the guest.
      ...(address && { ipAddress: address, ipAddresses: [address] }),
      infoSource: network.type === 'tap' ? 'domain, multus-status' : 'domain',
      ...(typeof network.ifname === 'string' && { podInterfaceName: network.ifname }),
      queueCount: 1,
      linkState: isDown ? 'down' : 'up',
    }
  })
}

function volumesOf({ domain, volumes = [] }: VmiSpec): NonNullable<Status['volumeStatus']> {
  const counts = new Map<string, number>()
  return (domain.devices.disks ?? []).flatMap(({ name, disk, cdrom, lun }) => {
    const bus = disk?.bus ?? cdrom?.bus ?? lun?.bus ?? (lun ? 'scsi' : 'sata')
    const prefix = devicePrefix(bus)
    const index = counts.get(prefix) ?? 0
    counts.set(prefix, index + 1)
    const hasVolume = volumes.some((volume) => volume.name === name)
    return hasVolume ? { name, target: prefix + letters(index) } : []
  })
}

async function kernelStatusOf({ kernelBoot }: MachinePlan): Promise<Status['kernelBootStatus']> {
  if (!kernelBoot?.kernel) return undefined
  return {
    kernelInfo: { checksum: await checksumOf(kernelBoot.kernel) },
    ...(kernelBoot.initrd && { initrdInfo: { checksum: await checksumOf(kernelBoot.initrd) } }),
  }
}

async function checksumOf(file: string): Promise<number> {
  await using handle = await open(file)
  // One buffer for all: those of a stream, 64 KiB each, would stay until the next garbage collection.
  const buffer = Buffer.allocUnsafe(256 * 1024)
  let sum = 0
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, null)
    if (bytesRead === 0) return sum
    sum = crc32(buffer.subarray(0, bytesRead), sum)
  }
}
