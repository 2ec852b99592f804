import type { Build } from './build.ts'
import { DEVICES, deviceId, oneOf } from './spec.ts'

const PLACE = { bus: 'pcie.0', addr: '0x1b' }

/** A sound card; nobody hears it, as there is no way for sound to a client. */
export function addSound({ plan, line }: Build): void {
  const { sound } = plan.spec.domain.devices
  if (!sound) return
  const at = DEVICES.child('sound')
  const id = deviceId(sound.name, at.child('name'))
  const model = oneOf(sound.model, ['ich9', 'ac97'], 'ich9', at.child('model'))
  line.keyed('-audiodev', [['id', 'audio0']], 'none')
  if (model === 'ac97') {
    line.device(at, { driver: 'AC97', id, audiodev: 'audio0', ...PLACE })
    return
  }
  line.device(at, { driver: 'ich9-intel-hda', id, ...PLACE })
  line.device(at, { driver: 'hda-duplex', id: 'sound-codec0', bus: `${id}.0`, audiodev: 'audio0' })
}
