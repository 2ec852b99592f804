/** What a VM asks for. Source: contract metrics.md, section 3. */
import type { VmiSpec } from '../kinds/kubevirt.ts'
import { isQuantity, quantityToBytes, quantityToNano } from '../lib/quantity.ts'
import type { Reading } from './reading.ts'

const NANO = 1e-9

type Named = Record<string, string>

/** Requests and limits of a guest; limits only where they are set. */
export function requestReadings(spec: VmiSpec, labels: Named): Reading[] {
  const { requests = {}, limits = {} } = spec.domain?.resources ?? {}
  return [
    ...cpuRequests(spec, labels),
    ...memoryRequests(spec, labels),
    ...amount('kubevirt_vm_resource_requests', cores(read(requests, 'cpu')), {
      ...labels,
      resource: 'cpu',
      unit: 'cores',
      source: 'requests',
    }),
    ...amount('kubevirt_vm_resource_limits', cores(read(limits, 'cpu')), {
      ...labels,
      resource: 'cpu',
      unit: 'cores',
    }),
    ...amount('kubevirt_vm_resource_limits', bytes(read(limits, 'memory')), {
      ...labels,
      resource: 'memory',
      unit: 'bytes',
    }),
  ]
}

function cpuRequests({ domain }: VmiSpec, labels: Named): Reading[] {
  const { cores: coreCount, threads, sockets } = domain?.cpu ?? {}
  const asked = Object.entries({ cores: coreCount, threads, sockets })
  const source = 'domain'
  return asked.flatMap(([unit, value]) =>
    amount('kubevirt_vm_resource_requests', value, { ...labels, resource: 'cpu', unit, source }),
  )
}

function memoryRequests({ domain }: VmiSpec, labels: Named): Reading[] {
  const guest = bytes(domain?.memory?.guest)
  const request = bytes(read(domain?.resources?.requests ?? {}, 'memory'))
  const bySource = {
    domain: request,
    guest,
    // What the guest sees: a request stands in where nothing else is said.
    guest_effective: guest ?? request,
    hugepages: bytes(domain?.memory?.hugepages?.pageSize),
  }
  return Object.entries(bySource).flatMap(([source, value]) =>
    amount('kubevirt_vm_resource_requests', value, { ...labels, resource: 'memory', unit: 'bytes', source }),
  )
}

function amount(name: string, value: number | undefined, labels: Named): Reading[] {
  return value === undefined ? [] : [{ name, labels, value }]
}

function read(amounts: object, name: string): unknown {
  return Object.entries(amounts).find(([key]) => key === name)?.[1]
}

function bytes(value: unknown): number | undefined {
  return isQuantity(value) ? Number(quantityToBytes(value)) : undefined
}

function cores(value: unknown): number | undefined {
  return isQuantity(value) ? Number(quantityToNano(value)) * NANO : undefined
}
