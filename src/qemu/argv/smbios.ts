import type { Build } from './build.ts'
import type { Pair } from './command-line.ts'
import { invalidConfig } from './error.ts'
import { checkText, DOMAIN } from './spec.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
/** What a guest is told of its maker. Source: contract 1.3, cluster SMBIOS defaults. */
const MAKER: Pair[] = [
  ['manufacturer', 'KubeVirt'],
  ['product', 'None'],
  ['family', 'KubeVirt'],
]
/** An SMBIOS string has no length of its own, and the table's is a 16-bit number. */
const TEXT_LIMIT = 256
const CHASSIS_FIELDS = ['manufacturer', 'version', 'serial', 'asset', 'sku'] as const

/** Who the machine says it is. Without a UUID of its own it has the VMI's. */
export function addSmbios({ plan, line }: Build): void {
  const { firmware, chassis } = plan.spec.domain
  const at = DOMAIN.child('firmware')
  const uuid = firmware?.uuid || plan.uid
  if (!UUID.test(uuid))
    throw invalidConfig(
      at.child('uuid'),
      `${JSON.stringify(uuid)} is no UUID: write 8-4-4-4-12 hexadecimal digits`,
    )
  line.text('-uuid', uuid)
  const serial: Pair[] = firmware?.serial
    ? [['serial', checkText(firmware.serial, at.child('serial'), TEXT_LIMIT)]]
    : []
  line.keyed('-smbios', [['type', 1], ...MAKER, ['uuid', uuid], ...serial])
  const tags = CHASSIS_FIELDS.flatMap((field): Pair[] => {
    const text = chassis?.[field]
    return text ? [[field, checkText(text, DOMAIN.child('chassis', field), TEXT_LIMIT)]] : []
  })
  if (tags.length > 0) line.keyed('-smbios', [['type', 3], ...tags])
}
