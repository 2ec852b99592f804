import type { SyncRequest } from '../../rpc/actions.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { unsupportedDevice } from '../../qemu/argv/error.ts'
import { contentsOf, type VolumeContext } from './context.ts'

/** Ways in which keys come into a guest by its cloud-init seed. */
export type Propagation = 'noCloud' | 'configDrive'

const CREDENTIALS = new FieldPath('spec.accessCredentials')

/** Public keys of SSH that the spec sends this way: index → key. */
export function sshKeys(way: Propagation, context: Pick<VolumeContext, 'request'>): Record<string, string> {
  const { accessCredentials = [] } = context.request.vmi.spec
  const keys = accessCredentials.flatMap(({ sshPublicKey }, index) => {
    if (!sshPublicKey?.propagationMethod[way]) return []
    const at = CREDENTIALS.index(index).child('sshPublicKey', 'source', 'secret')
    const data = contentsOf('Secret', sshPublicKey.source.secret?.secretName, at, context)
    return Object.values(data).flatMap((text) =>
      text
        .toString('utf8')
        .split('\n')
        .map((line) => line.trim()),
    )
  })
  return Object.fromEntries(keys.filter(Boolean).map((key, index) => [String(index), key]))
}

/** Throws `UnsupportedDevice` for credentials that would need an agent in the guest. */
export function checkCredentials({ vmi }: SyncRequest): void {
  const volumes = vmi.spec.volumes ?? []
  vmi.spec.accessCredentials?.forEach(({ sshPublicKey, userPassword }, index) => {
    const at = CREDENTIALS.index(index)
    if (userPassword) {
      throw unsupportedDevice(
        at.child('userPassword'),
        'passwords cannot be set through the guest agent yet: set one in the user data of cloud-init',
      )
    }
    const { noCloud, configDrive } = sshPublicKey?.propagationMethod ?? {}
    const arrives =
      (noCloud && volumes.some(({ cloudInitNoCloud }) => cloudInitNoCloud)) ||
      (configDrive && volumes.some(({ cloudInitConfigDrive }) => cloudInitConfigDrive))
    if (arrives) return
    throw unsupportedDevice(
      at.child('sshPublicKey', 'propagationMethod'),
      'keys come to guests by a cloud-init volume only: use noCloud or configDrive, and add such a volume',
    )
  })
}
