import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { devicesOf, type RuleConfig } from './rule.ts'

/** At most one GPU shows what it draws at boot. Contract: VMI-GPU-001. */
export function displayedGpuIsOne(spec: VmiSpec, at: FieldPath): Cause[] {
  const shown = (devicesOf(spec).gpus ?? []).filter(({ virtualGPUOptions }) => {
    const display = virtualGPUOptions?.display
    return display && display.enabled !== false && (!display.ramFB || display.ramFB.enabled === true)
  })
  return shown.length > 1
    ? [invalidValue(at.child('GPUs'), 'only one GPU may have a display with ramFB')]
    : []
}

const SOUND_MODELS = ['', 'ich9', 'ac97']

/** A sound card is named, and of a known model. Contract: VMI-SOUND-001, 002. */
export function soundIsKnown(spec: VmiSpec, at: FieldPath): Cause[] {
  const { sound } = devicesOf(spec)
  if (!sound) return []
  const causes: Cause[] = []
  if (!SOUND_MODELS.includes(sound.model ?? '')) {
    causes.push(invalidValue(at.child('Sound'), `the model "${sound.model}" is neither ich9 nor ac97`))
  }
  if (!sound.name) causes.push(invalidValue(at.child('Sound'), 'a sound device has a name'))
  return causes
}

/** A graphics card has a display to draw on. Contract: VMI-VIDEO-001. */
export function videoHasDisplay(spec: VmiSpec, at: FieldPath): Cause[] {
  const { video, autoattachGraphicsDevice } = devicesOf(spec)
  return video && autoattachGraphicsDevice === false
    ? [invalidValue(at.child('video'), 'there is no display: leave out autoattachGraphicsDevice, or video')]
    : []
}

const PANIC_MODELS = ['hyperv', 'isa', 'pvpanic']

/** A panic device is one that the machine has. Contract: VMI-PANIC-001, 002. */
export function panicDeviceIsKnown(spec: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const { panicDevices = [] } = devicesOf(spec)
  const field = at.child('domain', 'devices', 'panicDevices')
  const architecture = spec.architecture || config.defaultArchitecture
  const causes: Cause[] = []
  if (panicDevices.length > 0 && architecture === 's390x') causes.push(invalidValue(field, 's390x has none'))
  for (const [position, { model }] of panicDevices.entries()) {
    if (model === undefined || PANIC_MODELS.includes(model)) continue
    causes.push(
      invalidValue(field.index(position).child('model'), `"${model}" is none of ${PANIC_MODELS.join(', ')}`),
    )
  }
  return causes
}
