import type { FieldPath } from '../../lib/field-path.ts'
import type { Build } from './build.ts'
import { invalidConfig } from './error.ts'

/** Ports of one controller. The machine has one of its own, `ide.0` to `ide.5`; others are added. */
const PORTS = 6
const EXTRA_CONTROLLERS = 8
const SLOT = '0x1d'

/** The bus of the SATA disk with that index; adds a controller where the ones before are full. */
export function sataPlace({ line }: Build, index: number, at: FieldPath): string {
  const controller = Math.floor(index / PORTS)
  if (controller === 0) return `ide.${index}`
  if (controller > EXTRA_CONTROLLERS) {
    throw invalidConfig(
      at,
      `is one SATA disk more than the ${PORTS * (EXTRA_CONTROLLERS + 1)} possible: use bus virtio or scsi`,
    )
  }
  if (index % PORTS === 0) {
    const addr = `${SLOT}.0x${controller - 1}`
    line.device(at, {
      driver: 'ich9-ahci',
      id: `ahci${controller}`,
      bus: 'pcie.0',
      addr,
      ...(controller === 1 && { multifunction: true }),
    })
  }
  return `ahci${controller}.${index % PORTS}`
}
