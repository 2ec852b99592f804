import type { Vmi } from '../../kinds/kubevirt.ts'
import { isHotpluggable } from '../../kinds/volumes.ts'
import { formatBytes } from '../../lib/quantity.ts'
import type { WorkerParts } from '../parts.ts'
import type { GuestFacts } from './facts.ts'
import { MigrationFailed } from './failure.ts'

/** Refuses what this node cannot go on running. Throws `MigrationFailed`. */
export function checkTarget(facts: GuestFacts, { qemu, acceleration, nodeName }: WorkerParts): void {
  const { machineType, accelerator, cpuFeatures, cpu } = facts
  if (!qemu.machines.some(({ name }) => name === machineType)) {
    const newest = qemu.machines[0]?.name ?? 'none'
    throw incompatible(`node ${nodeName} has no machine ${machineType}, its newest is ${newest}`)
  }
  if (accelerator !== acceleration.accelerator) {
    throw incompatible(
      `the guest runs with ${accelerator}, and node ${nodeName} has ${acceleration.accelerator}`,
    )
  }
  if (!cpuFeatures) return
  const here = new Set(qemu.cpuFeatures)
  const lacking = cpuFeatures.filter((feature) => !here.has(feature))
  const more = qemu.cpuFeatures.length + lacking.length - cpuFeatures.length
  if (lacking.length === 0 && more === 0) return
  throw incompatible(
    `the guest's CPU is made of all that its node has (${cpu}), and that of node ${nodeName} lacks ${
      lacking.slice(0, 5).join(', ') || 'nothing'
    } and has ${more} other features: give the guest a named CPU model`,
  )
}

function incompatible(message: string): MigrationFailed {
  return new MigrationFailed('incompatible-target', message)
}

/**
 * The VMI as its QEMU is by now, whatever its spec says: CPUs and memory as it was started with, and no disk that is
 * yet to be plugged in.
 */
export function asItRuns(vmi: Vmi, { topology, disks: running }: GuestFacts): Vmi {
  const { sockets, cores, threads, maxSockets, memoryBytes, maxMemoryBytes } = topology
  const { cpu, memory, devices, ...domain } = vmi.spec.domain
  const { maxGuest: _maxGuest, ...memoryRest } = memory ?? {}
  const coming = (vmi.spec.volumes ?? [])
    .filter((volume) => isHotpluggable(volume) && !volume.memoryDump)
    .map(({ name }) => name)
    .filter((name) => !running.some((disk) => disk.name === name))
  const stays = ({ name }: { name: string }): boolean => !coming.includes(name)
  return {
    ...vmi,
    spec: {
      ...vmi.spec,
      ...(vmi.spec.volumes && { volumes: vmi.spec.volumes.filter(stays) }),
      domain: {
        ...domain,
        devices: { ...devices, ...(devices.disks && { disks: devices.disks.filter(stays) }) },
        cpu: { ...cpu, sockets, cores, threads, maxSockets },
        memory: {
          ...memoryRest,
          guest: formatBytes(BigInt(memoryBytes)),
          ...(maxMemoryBytes !== undefined && { maxGuest: formatBytes(BigInt(maxMemoryBytes)) }),
        },
      },
    },
  }
}
