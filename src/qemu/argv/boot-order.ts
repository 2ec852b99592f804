import type { MachinePlan } from '../plan.ts'
import { invalidConfig } from './error.ts'
import { DEVICES, deviceId } from './spec.ts'

/**
 * In which order devices are tried, lowest first, by device id. Devices without an order are not tried where one
 * has an order; where none has, the disks are tried as they stand in the spec.
 *
 * Throws `InvalidConfiguration` where two have the same.
 */
export function bootIndexesOf({ spec }: MachinePlan): ReadonlyMap<string, number> {
  const { disks = [], interfaces = [] } = spec.domain.devices
  const named = [
    ...disks.map((device, index) => ({ device, at: DEVICES.child('disks').index(index) })),
    ...interfaces.map((device, index) => ({ device, at: DEVICES.child('interfaces').index(index) })),
  ]
  const indexes = new Map<string, number>()
  const seen = new Set<number>()
  for (const { device, at } of named) {
    const order = device.bootOrder
    if (order === undefined) continue
    const field = at.child('bootOrder')
    if (!Number.isSafeInteger(order) || order < 1)
      throw invalidConfig(field, `${order} is no boot order: use 1 or more`)
    if (seen.has(order))
      throw invalidConfig(field, `another device has boot order ${order} already: give each its own`)
    seen.add(order)
    indexes.set(deviceId(device.name, at.child('name')), order)
  }
  if (indexes.size > 0) return indexes
  return new Map(
    disks.map(({ name }, index) => [
      deviceId(name, DEVICES.child('disks').index(index).child('name')),
      index + 1,
    ]),
  )
}
