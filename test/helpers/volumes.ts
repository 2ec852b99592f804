import type { PersistentVolumeClaim } from '../../src/kinds/core.ts'
import type { KubeVirtConfiguration } from '../../src/kinds/configuration.ts'
import type { Vm, Vmi, VmiSpec } from '../../src/kinds/kubevirt.ts'
import { PVCS } from '../../src/kinds/table.ts'
import { apiOf, vmiOf, vmOf } from './api.ts'

/** The feature gates that decide how volumes are changed. */
export const GATES = {
  neither: { developerConfiguration: { disabledFeatureGates: ['DeclarativeHotplugVolumes'] } },
  declarative: {},
  requests: { developerConfiguration: { featureGates: ['HotplugVolumes'] } },
} satisfies Record<string, KubeVirtConfiguration>

/** A guest with a volume of each sort. */
export const SPEC: VmiSpec = {
  domain: {
    devices: {
      disks: [
        { name: 'root', disk: { bus: 'virtio' } },
        { name: 'plugged', disk: { bus: 'scsi' } },
        { name: 'dv', disk: { bus: 'scsi' } },
      ],
    },
  },
  volumes: [
    { name: 'root', containerDisk: { image: 'i' } },
    { name: 'plugged', persistentVolumeClaim: { claimName: 'claim1', hotpluggable: true } },
    { name: 'dv', dataVolume: { name: 'dv1', hotpluggable: true } },
    { name: 'dump', memoryDump: { claimName: 'dump', hotpluggable: true } },
  ],
}

/** A VM with these volumes. */
export function volumeVm(status?: Vm['status'], spec: VmiSpec = SPEC): Vm {
  return vmOf({ template: { spec } }, status)
}

/** Its VMI; without a VM where `isAlone`. */
export function volumeVmi(phase: 'Running' | 'Scheduled' = 'Running', isAlone = true): Vmi {
  const vmi = vmiOf(phase, { spec: SPEC })
  if (isAlone) delete vmi.metadata.ownerReferences
  return vmi
}

/** A claim; what a test does not say is as it should be. */
export function claimOf(
  name: string,
  spec: Record<string, unknown> = {},
  storage = '1Gi',
): PersistentVolumeClaim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      namespace: 'ns1',
      name,
      uid: name,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } }, ...spec },
  }
}

/** A server with a VM, a VMI, claims and such gates. */
export function volumeApi(
  objects: { vm?: Vm | undefined; vmi?: Vmi | undefined; claims?: PersistentVolumeClaim[] },
  gates: keyof typeof GATES = 'declarative',
) {
  const api = apiOf({ vm: objects.vm, vmi: objects.vmi, configuration: GATES[gates] })
  for (const claim of objects.claims ?? []) api.put(PVCS, claim)
  return api
}
