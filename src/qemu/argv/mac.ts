import { createHash } from 'node:crypto'
import type { FieldPath } from '../../lib/field-path.ts'
import type { MachinePlan } from '../plan.ts'
import { invalidConfig } from './error.ts'
import type { InterfaceSpec } from './spec.ts'

const MAC = /^([0-9a-f]{2}(:[0-9a-f]{2}){5}|[0-9a-f]{2}(-[0-9a-f]{2}){5}|[0-9a-f]{4}(\.[0-9a-f]{4}){2})$/i

/**
 * The hardware address of an interface: the one its spec gives, or one of our own making, which is locally
 * administered and the same whenever it is asked for.
 *
 * Throws `InvalidConfiguration` where what the spec gives is none, or one for groups.
 */
export function macOf(
  { uid }: Pick<MachinePlan, 'uid'>,
  { name, macAddress }: InterfaceSpec,
  at: FieldPath,
): string {
  if (!macAddress)
    return pairsOf(`02${createHash('sha256').update(`${uid}/${name}`).digest('hex').slice(0, 10)}`)
  const mac = pairsOf(macAddress.toLowerCase().replaceAll(/[:.-]/g, ''))
  const isGroup = parseInt(mac.slice(0, 2), 16) % 2 === 1
  if (MAC.test(macAddress) && !isGroup) return mac
  throw invalidConfig(
    at.child('macAddress'),
    `${JSON.stringify(macAddress)} is no address of one device: write six bytes such as 02:00:00:3c:4d:5e, the first one even`,
  )
}

function pairsOf(hex: string): string {
  return hex.match(/../g)?.join(':') ?? ''
}
