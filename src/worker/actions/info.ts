import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import type { NodeInfo } from '../../rpc/actions.ts'
import { RPC_VERSIONS } from '../../rpc/wire.ts'
import type { QemuCapabilities } from '../../qemu/probe.ts'
import type { Acceleration } from '../parts.ts'

/** Architectures as Kubernetes spells them. */
const ARCHITECTURES: Record<string, string> = { x64: 'amd64' }

/** What the node is and can do. */
export function buildInfo(options: {
  nodeName: string
  version: string
  qemu: QemuCapabilities
  acceleration: Acceleration
  bridges?: readonly string[]
}): NodeInfo {
  const { nodeName, version, qemu, acceleration, bridges = [] } = options
  const { major, minor, micro } = qemu.version
  return {
    nodeName,
    version,
    rpcVersions: [...RPC_VERSIONS],
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    qemuVersion: `${major}.${minor}.${micro}`,
    accelerator: acceleration.accelerator,
    acceleratorNote: acceleration.note,
    machineTypes: qemu.machines.map(({ name }) => name),
    cpuModels: qemu.cpuModels,
    cpuFeatures: qemu.cpuFeatures,
    bridges: [...bridges],
    capacity: { cpus: availableParallelism(), memoryBytes: totalmem() },
  }
}
