import type { ResourceQuota } from '../../src/kinds/quota.ts'
import type { Vm, Vmi, VmiSpec } from '../../src/kinds/kubevirt.ts'
import type { PersistentVolumeClaim } from '../../src/kinds/core.ts'
import type { ChargeRules } from '../../src/quota/charges.ts'

/** Everything counts; claims that name no class are of `local`. */
export const ALL: ChargeRules = { countsObjects: true, defaultStorageClass: 'local' }

/** The part of a guest's spec that quotas look at. */
export function guestSpec(
  domain: Partial<VmiSpec['domain']> = {},
  rest: Partial<Omit<VmiSpec, 'domain'>> = {},
): VmiSpec {
  return { ...rest, domain: { devices: {}, ...domain } }
}

/** A guest of two vCPUs and 1Gi. */
export const SMALL: Partial<VmiSpec['domain']> = { cpu: { cores: 2 }, memory: { guest: '1Gi' } }

const meta = (name: string, namespace: string) => ({
  name,
  namespace,
  uid: `uid-of-${name}`,
  resourceVersion: '1',
  creationTimestamp: '2026-01-01T00:00:00Z',
})

export function vmi(name: string, spec = guestSpec(SMALL), phase?: 'Running' | 'Succeeded'): Vmi {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: meta(name, 'default'),
    spec,
    ...(phase && { status: { phase } }),
  }
}

export function vm(name: string, spec = guestSpec(SMALL)): Vm {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: meta(name, 'default'),
    spec: { runStrategy: 'Halted', template: { spec } },
  }
}

export function claim(name: string, storage: string, storageClassName?: string): PersistentVolumeClaim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: meta(name, 'default'),
    spec: { resources: { requests: { storage } }, ...(storageClassName && { storageClassName }) },
  }
}

export function quota(
  name: string,
  hard: Record<string, string>,
  spec: Partial<ResourceQuota['spec']> = {},
): ResourceQuota {
  return {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: meta(name, 'default'),
    spec: { hard, ...spec },
  }
}

/** As a client sends it. */
export function draftOf<T extends { metadata: { name: string; namespace: string } }>(object: T): T {
  const { name, namespace } = object.metadata
  return { ...object, metadata: { name, namespace } }
}
