import type { FieldPath } from '../../lib/field-path.ts'
import type { MachinePlan } from '../plan.ts'
import { invalidConfig } from './error.ts'
import { DEVICES, deviceId } from './spec.ts'

/**
 * In which order devices are tried, lowest first, by device id. Devices without an order are not tried where one
 * has an order; where none has, the disks are tried as they stand in the spec.
 *
 * Throws `InvalidConfiguration` where two have the same.
 */
export function bootIndexesOf({
  spec,
  plugged = [],
}: Pick<MachinePlan, 'spec' | 'plugged'>): ReadonlyMap<string, number> {
  const { disks = [], interfaces = [] } = spec.domain.devices
  const diskPlaces = disks.map((device, index) => placeOf(device, DEVICES.child('disks').index(index)))
  const cards = interfaces.map((device, index) => placeOf(device, DEVICES.child('interfaces').index(index)))
  const added = diskPlaces.filter(({ id }) => plugged.includes(id))
  const first = diskPlaces.filter((place) => !added.includes(place))
  const ordered = orderedOf([...first, ...cards])
  const indexes = ordered.size > 0 ? ordered : new Map(first.map(({ id }, index) => [id, index + 1]))
  // One that came later has none but its own, and changes that of no other.
  for (const { id, order } of added) if (order !== undefined) indexes.set(id, order)
  return indexes
}

interface Place {
  id: string
  order: number | undefined
  at: FieldPath
}

function placeOf({ name, bootOrder }: { name: string; bootOrder?: number }, at: FieldPath): Place {
  return { id: deviceId(name, at.child('name')), order: bootOrder, at }
}

function orderedOf(places: readonly Place[]): Map<string, number> {
  const indexes = new Map<string, number>()
  const seen = new Set<number>()
  for (const { id, order, at } of places) {
    if (order === undefined) continue
    const field = at.child('bootOrder')
    if (!Number.isSafeInteger(order) || order < 1)
      throw invalidConfig(field, `${order} is no boot order: use 1 or more`)
    if (seen.has(order))
      throw invalidConfig(field, `another device has boot order ${order} already: give each its own`)
    seen.add(order)
    indexes.set(id, order)
  }
  return indexes
}
