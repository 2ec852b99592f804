import type { FieldPath } from '../../lib/field-path.ts'
import type { MachinePlan } from '../plan.ts'
import { invalidConfig } from './error.ts'
import { Ports, slotOfAddress } from './ports.ts'
import { DEVICES, deviceId } from './spec.ts'

/** The slots of a guest's devices: those that its spec names by `pciAddress`, else those of last time. */
export function buildPorts(plan: MachinePlan): Ports {
  const fixed = fixedSlotsOf(plan)
  const named = new Set(Object.values(fixed))
  const before = Object.entries(plan.slots).filter(([, slot]) => !named.has(slot))
  return new Ports({ ...Object.fromEntries(before), ...fixed }, new Set(Object.keys(fixed)))
}

/** Throws `InvalidConfiguration` where two devices are to have the same slot. */
function fixedSlotsOf({ spec }: MachinePlan): Record<string, string> {
  const slots = new Map<string, string>()
  for (const { name, address, at } of addressesOf(spec.domain.devices)) {
    if (!address) continue
    const field = at.child('pciAddress')
    const slot = slotOfAddress(address, field)
    if ([...slots.values()].includes(slot))
      throw invalidConfig(field, `another device sits at ${address} already: give each its own`)
    slots.set(deviceId(name, at.child('name')), slot)
  }
  return Object.fromEntries(slots)
}

interface Addressed {
  name: string
  address: string | undefined
  at: FieldPath
}

function addressesOf({ disks = [], interfaces = [] }: MachinePlan['spec']['domain']['devices']): Addressed[] {
  return [
    ...disks.map(({ name, disk }, index) => {
      const at = DEVICES.child('disks').index(index).child('disk')
      if (disk?.pciAddress && disk.bus !== 'virtio') {
        throw invalidConfig(
          at.child('pciAddress'),
          'only a virtio disk has an address on the PCI bus: use bus: virtio',
        )
      }
      return { name, address: disk?.pciAddress, at }
    }),
    ...interfaces.map(({ name, pciAddress }, index) => ({
      name,
      address: pciAddress,
      at: DEVICES.child('interfaces').index(index),
    })),
  ]
}
