import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { invalidValue, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { devicesOf, type RuleConfig } from './rule.ts'

/**
 * Every disk has a volume that suits it, and no two devices boot at the same place.
 * Contract: VMI-BOOT-001 … 008.
 */
export function* disksAndBootOrderFit(spec: VmiSpec, at: FieldPath, config: RuleConfig): Iterable<Cause> {
  const taken = new Set<number>()
  const { disks = [], interfaces = [] } = devicesOf(spec)
  const devices = at.child('domain', 'devices')
  for (const [position, disk] of disks.entries()) {
    const field = devices.child('disks').index(position)
    yield* diskFitsVolume(spec, position, field, config)
    if (disk.bootOrder === undefined) continue
    if (taken.has(disk.bootOrder))
      yield invalidValue(field.child('bootOrder'), `${disk.bootOrder} is taken by another device`)
    taken.add(disk.bootOrder)
  }
  for (const [position, { bootOrder }] of interfaces.entries()) {
    if (bootOrder === undefined) continue
    // The contract's path lacks the way to the interface here.
    if (bootOrder < 1) yield invalidValue(at.index(position).child('bootOrder'), 'the first place is 1')
    else if (taken.has(bootOrder)) {
      yield invalidValue(
        devices.child('interfaces').index(position).child('bootOrder'),
        `${bootOrder} is taken by another device`,
      )
    }
    if (bootOrder >= 1) taken.add(bootOrder)
  }
}

function* diskFitsVolume(
  spec: VmiSpec,
  position: number,
  field: FieldPath,
  config: RuleConfig,
): Iterable<Cause> {
  const disk = devicesOf(spec).disks?.[position]
  if (!disk) return
  const volume = spec.volumes?.findLast(({ name }) => name === disk.name)
  if (!volume) {
    // An empty drive is fine where a disc can be put in later.
    const mayBeEmpty = disk.cdrom && config.isGateOn('DeclarativeHotplugVolumes')
    if (!mayBeEmpty)
      yield invalidValue(field.child('name'), `no volume is named "${disk.name}": add one to volumes`)
    return
  }
  if (disk.lun && !volume.persistentVolumeClaim && !volume.dataVolume) {
    yield invalidValue(field.child('lun'), 'a LUN needs a persistentVolumeClaim or dataVolume')
  }
  if (volume.downwardMetrics && !disk.disk)
    yield requiredValue(field.child('disk'), 'metrics are handed over on a disk')
  else if (volume.downwardMetrics && !['', 'virtio'].includes(disk.disk?.bus ?? '')) {
    yield invalidValue(field.child('disk', 'bus'), 'metrics are handed over by virtio')
  }
}
