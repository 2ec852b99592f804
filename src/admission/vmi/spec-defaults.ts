/** What a guest's spec gets where it says nothing. Contract: MUT-SPEC-001 … 010, VM-DEF-001 … 010. */
import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { badRequest } from '../../lib/errors.ts'
import { isQuantity } from '../../lib/quantity.ts'
import { machinesOf, type AdmissionConfig } from '../config.ts'
import { milliOf, wholeOf } from '../quantities.ts'
import { textOrEmpty } from '../spec/rule.ts'

/** A guest's spec with the members that are always there. Contract: MUT-P-003. */
export function completeSkeleton(spec: VmiSpec | undefined): VmiSpec {
  const { domain, ...rest } = spec ?? {}
  return {
    ...rest,
    domain: { ...domain, devices: domain?.devices ?? {}, resources: domain?.resources ?? {} },
  }
}

/** Completes a spec that has its skeleton, in place. Throws 400 where no default network is possible. */
export function completeSpec(spec: VmiSpec, config: AdmissionConfig): void {
  spec.architecture ||= config.defaultArchitecture
  completeMachine(spec, config)
  completeCpuRequest(spec, config)
  completeMemory(spec)
  completeTopology(spec)
  completePullPolicies(spec)
  spec.evictionStrategy ??= config.evictionStrategy
  attachDefaults(spec, config)
}

/**
 * Gives a guest the default network, and a disk for each volume. Throws 400 where no default network is possible.
 * Contract: VM-DEF-E01, VM-DEF-E02.
 */
export function attachDefaults(spec: VmiSpec, config: AdmissionConfig): void {
  completeNetwork(spec, config)
  completeDisks(spec)
}

/** Gives a spec its machine type. Contract: MUT-SPEC-002. */
export function completeMachine(spec: VmiSpec, config: AdmissionConfig): void {
  if (spec.domain.machine?.type) return
  const { machineType } = machinesOf(config, spec.architecture)
  spec.domain.machine = { ...spec.domain.machine, type: machineType }
}

function completeCpuRequest({ domain }: VmiSpec, config: AdmissionConfig): void {
  const { requests, limits } = domain.resources ?? {}
  const limit = limits?.cpu
  if (limit !== undefined && milliOf(limit) !== 0n && milliOf(requests?.cpu) === 0n) setCpuRequest(limit)
  const isAbsent = domain.resources?.requests?.cpu === undefined
  if (config.cpuRequest !== '100m' && isAbsent && !domain.cpu?.dedicatedCpuPlacement)
    setCpuRequest(config.cpuRequest)

  function setCpuRequest(cpu: string): void {
    domain.resources = { ...domain.resources, requests: { ...domain.resources?.requests, cpu } }
  }
}

function completeMemory({ domain }: VmiSpec): void {
  const memory = (domain.memory ??= {})
  if (memory.guest !== undefined) return
  const { requests, limits } = domain.resources ?? {}
  const found = [requests?.memory, limits?.memory].find((amount) => wholeOf(amount) !== 0n)
  const guest = found ?? (isQuantity(memory.hugepages?.pageSize) ? memory.hugepages?.pageSize : undefined)
  if (guest !== undefined) memory.guest = guest
}

function completeTopology({ domain }: VmiSpec): void {
  const { cores = 0, sockets = 0, threads = 0 } = domain.cpu ?? {}
  if (cores || sockets || threads) return
  const amount = domain.resources?.limits?.cpu ?? domain.resources?.requests?.cpu
  domain.cpu = {
    ...domain.cpu,
    cores: 1,
    threads: 1,
    sockets: amount === undefined ? 1 : Number(wholeOf(amount)),
  }
}

function completePullPolicies({ volumes = [] }: VmiSpec): void {
  for (const { containerDisk } of volumes) {
    if (!containerDisk || containerDisk.imagePullPolicy) continue
    const image = textOrEmpty(containerDisk.image)
    const isLoose = image.endsWith(':latest') || !/[:@]/.test(image)
    containerDisk.imagePullPolicy = isLoose ? 'Always' : 'IfNotPresent'
  }
}

function completeNetwork(spec: VmiSpec, config: AdmissionConfig): void {
  const { devices } = spec.domain
  if (devices.autoattachPodInterface === false || spec.networks?.length || devices.interfaces?.length) return
  switch (config.defaultNetworkInterface) {
    case 'slirp':
      throw badRequest(
        'the default network interface is slirp, which was removed: set another in the KubeVirt object',
      )
    case 'bridge':
      if (!config.permitBridgeOnPodNetwork) {
        throw badRequest('bridge is not permitted on the pod network: name an interface, such as masquerade')
      }
      devices.interfaces = [{ name: 'default', bridge: {} }]
      break
    case 'masquerade':
      devices.interfaces = [{ name: 'default', masquerade: {} }]
  }
  spec.networks = [{ name: 'default', pod: {} }]
}

function completeDisks({ domain, volumes = [] }: VmiSpec): void {
  const { disks = [], filesystems = [] } = domain.devices
  const known = new Set([...disks, ...filesystems].map(({ name }) => name))
  const missing = volumes.filter(({ name }) => !known.has(name)).map(({ name }) => ({ name }))
  if (missing.length > 0) domain.devices.disks = [...disks, ...missing]
}
