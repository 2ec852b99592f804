import type { VmiSpec } from '../../src/kinds/kubevirt.ts'
import type { DiskFile, MachinePlan } from '../../src/qemu/plan.ts'

/** What a test says of a plan; the rest is an ordinary small guest without disks. */
export interface PlanParts extends Partial<Omit<MachinePlan, 'spec'>> {
  domain?: Partial<VmiSpec['domain']>
  devices?: Partial<VmiSpec['domain']['devices']>
  spec?: Partial<VmiSpec>
}

/** A plan with an interface on the pod network, and the volumes that its disk files need. */
export function makePlan(parts: PlanParts = {}): MachinePlan {
  const { domain, devices, spec, ...rest } = parts
  const disks = rest.disks ?? []
  return {
    uid: '6f9a4a0e-2f3e-4c52-9d8e-1a2b3c4d5e6f',
    namespace: 'default',
    name: 'vm1',
    paths: { runDir: '/run/virtgate/vm1', stateDir: '/var/lib/virtgate/vm1' },
    disks,
    accelerator: 'tcg',
    machineType: 'pc-q35-7.2',
    slots: {},
    qemuVersion: { major: 7, minor: 2 },
    ...rest,
    spec: {
      networks: [{ name: 'default', pod: {} }],
      volumes: disks.map(({ name }) => ({ name, emptyDisk: { capacity: '1Mi' } })),
      ...spec,
      domain: {
        memory: { guest: '64Mi' },
        ...domain,
        devices: { interfaces: [{ name: 'default', masquerade: {} }], ...devices },
      },
    },
  }
}

/** A raw volume. */
export function rawDisk(name: string, file = `/disks/${name}.img`, more: Partial<DiskFile> = {}): DiskFile {
  return { name, file, format: 'raw', readOnly: false, ...more }
}
