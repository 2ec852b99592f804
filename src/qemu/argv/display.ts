import type { Build } from './build.ts'
import { checkSocketPath, type DeviceArgs } from './command-line.ts'
import { invalidConfig } from './error.ts'
import { DEVICES, oneOf } from './spec.ts'

/** What the types of `video` are in QEMU. Source: contract 1.9. */
const VIDEO: Record<'vga' | 'bochs' | 'virtio' | 'ramfb' | 'cirrus', DeviceArgs> = {
  vga: { driver: 'VGA', vgamem_mb: 16 },
  bochs: { driver: 'bochs-display' },
  virtio: { driver: 'virtio-vga' },
  ramfb: { driver: 'ramfb' },
  cirrus: { driver: 'cirrus-vga' },
}
const TYPES = ['vga', 'bochs', 'virtio', 'ramfb', 'cirrus'] as const

/** Whether the guest has a display. */
export function hasDisplay({ plan }: Build): boolean {
  return plan.spec.domain.devices.autoattachGraphicsDevice !== false
}

/** A graphics card, and its picture at `vnc.sock`. Any number may watch; the worker decides who does. */
export function addDisplay(build: Build): void {
  const { plan, line } = build
  const { video } = plan.spec.domain.devices
  const at = DEVICES.child('video')
  line.flag('-display', 'none', '-vga', 'none')
  if (!hasDisplay(build)) {
    if (video)
      throw invalidConfig(
        at,
        'the guest has no display (autoattachGraphicsDevice is false): remove one of the two',
      )
    return
  }
  const isEfi = plan.spec.domain.firmware?.bootloader?.efi !== undefined
  const type = oneOf(video?.type, TYPES, isEfi ? 'bochs' : 'vga', at.child('type'))
  const place = type === 'ramfb' ? {} : { bus: 'pcie.0', addr: '0x1' }
  line.device(at.child('type'), { ...VIDEO[type], id: 'video0', ...place })
  const socket = `${plan.paths.runDir}/vnc.sock`
  checkSocketPath(socket)
  line.keyed('-vnc', [
    ['vnc', `unix:${socket}`],
    ['share', 'force-shared'],
  ])
}
