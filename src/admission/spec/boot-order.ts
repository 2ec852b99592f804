import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { addAll, invalidValue, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { devicesOf, type RuleConfig } from './rule.ts'

/**
 * Every disk has a volume that suits it, and no two devices boot at the same place.
 * Contract: VMI-BOOT-001 … 008.
 */
export function disksAndBootOrderFit(spec: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const taken = new Set<number>()
  const { disks = [], interfaces = [] } = devicesOf(spec)
  const devices = at.child('domain', 'devices')
  const causes: Cause[] = []
  for (const [position, disk] of disks.entries()) {
    const field = devices.child('disks').index(position)
    addAll(causes, diskFitsVolume(spec, position, field, config))
    if (disk.bootOrder === undefined) continue
    if (taken.has(disk.bootOrder))
      causes.push(invalidValue(field.child('bootOrder'), `${disk.bootOrder} is taken by another device`))
    taken.add(disk.bootOrder)
  }
  for (const [position, { bootOrder }] of interfaces.entries()) {
    if (bootOrder === undefined) continue
    // The contract's path lacks the way to the interface here.
    if (bootOrder < 1)
      causes.push(invalidValue(at.index(position).child('bootOrder'), 'the first place is 1'))
    else if (taken.has(bootOrder)) {
      causes.push(
        invalidValue(
          devices.child('interfaces').index(position).child('bootOrder'),
          `${bootOrder} is taken by another device`,
        ),
      )
    }
    if (bootOrder >= 1) taken.add(bootOrder)
  }
  return causes
}

function diskFitsVolume(spec: VmiSpec, position: number, field: FieldPath, config: RuleConfig): Cause[] {
  const disk = devicesOf(spec).disks?.[position]
  if (!disk) return []
  const volume = spec.volumes?.findLast(({ name }) => name === disk.name)
  if (!volume) {
    // An empty drive is fine where a disc can be put in later.
    if (disk.cdrom && config.isGateOn('DeclarativeHotplugVolumes')) return []
    return [invalidValue(field.child('name'), `no volume is named "${disk.name}": add one to volumes`)]
  }
  const causes: Cause[] = []
  if (disk.lun && !volume.persistentVolumeClaim && !volume.dataVolume) {
    causes.push(invalidValue(field.child('lun'), 'a LUN needs a persistentVolumeClaim or dataVolume'))
  }
  if (volume.downwardMetrics && !disk.disk)
    causes.push(requiredValue(field.child('disk'), 'metrics are handed over on a disk'))
  else if (volume.downwardMetrics && !['', 'virtio'].includes(disk.disk?.bus ?? '')) {
    causes.push(invalidValue(field.child('disk', 'bus'), 'metrics are handed over by virtio'))
  }
  return causes
}
