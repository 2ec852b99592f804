import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { addAll, invalidValue, unsupportedValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { devicesOf } from '../spec/rule.ts'

const DEVICES = new FieldPath('spec.domain.devices')
const ARM_BUSES = ['', 'virtio', 'scsi']

const VIDEO: Record<string, readonly string[]> = {
  amd64: ['vga', 'cirrus', 'virtio', 'ramfb', 'bochs'],
  s390x: ['virtio'],
  arm64: ['virtio', 'ramfb'],
}

/** The architecture is one of the known ones, and the devices are to be had on it. Contract: VMI-ARCH-001 … 013. */
export function architectureIsKnown(spec: VmiSpec): Cause[] {
  const causes: Cause[] = []
  switch (spec.architecture) {
    case 'amd64':
      addAll(causes, watchdogIs(spec, 'i6300esb', 'diag288'))
      break
    case 's390x':
      addAll(causes, watchdogIs(spec, 'diag288', 'i6300esb'))
      break
    case 'arm64':
      addAll(causes, armCanDo(spec))
      break
    default:
      return [
        invalidValue(
          'spec.architecture',
          spec.architecture
            ? `"${spec.architecture}" is none of amd64, arm64, s390x`
            : 'is none of amd64, arm64, s390x, and status.defaultArchitecture of the KubeVirt object names none',
        ),
      ]
  }
  const { video } = devicesOf(spec)
  const types = VIDEO[spec.architecture] ?? []
  if (video && !types.includes(video.type ?? '')) {
    causes.push(
      unsupportedValue(
        DEVICES.child('video', 'type'),
        `"${video.type ?? ''}" is none of ${types.join(', ')}`,
      ),
    )
  }
  return causes
}

function watchdogIs(spec: VmiSpec, model: 'i6300esb' | 'diag288', other: 'i6300esb' | 'diag288'): Cause[] {
  const { watchdog } = devicesOf(spec)
  return watchdog && !(watchdog[model] && !watchdog[other])
    ? [unsupportedValue(DEVICES.child('watchdog'), `on ${spec.architecture} the watchdog is ${model}`)]
    : []
}

function armCanDo(spec: VmiSpec): Cause[] {
  const { firmware, cpu } = spec.domain
  const { disks = [], watchdog, sound } = devicesOf(spec)
  const causes: Cause[] = []
  if (firmware?.bootloader?.bios)
    causes.push(unsupportedValue('spec.domain.firmware.bootloader.bios', 'arm64 boots by EFI only'))
  if (cpu?.model && cpu.model !== 'host-passthrough')
    causes.push(unsupportedValue('spec.domain.cpu.model', 'arm64 has host-passthrough only'))
  for (const [position, disk] of disks.entries()) {
    for (const target of ['disk', 'cdrom', 'lun'] as const) {
      if (ARM_BUSES.includes(disk[target]?.bus ?? '')) continue
      causes.push(
        unsupportedValue(
          DEVICES.child('disks').index(position).child(target, 'bus'),
          'arm64 has virtio and scsi only',
        ),
      )
    }
  }
  if (watchdog) causes.push(unsupportedValue(DEVICES.child('watchdog'), 'arm64 has no watchdog'))
  if (sound) causes.push(unsupportedValue(DEVICES.child('sound'), 'arm64 has no sound'))
  return causes
}
