import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'

type Credential = NonNullable<VmiSpec['accessCredentials']>[number]
type SshKey = NonNullable<Credential['sshPublicKey']>

/** Credentials come from a Secret and reach the guest in one way. Contract: VMI-AC-001 … 008. */
export function* credentialsAreSound(spec: VmiSpec, at: FieldPath): Iterable<Cause> {
  for (const [position, credential] of (spec.accessCredentials ?? []).entries()) {
    const field = at.child('accessCredentials').index(position)
    const { sshPublicKey, userPassword } = credential
    if (sshPublicKey) yield* sshKeyIsSound(spec, sshPublicKey, field.child('sshPublicKey'))
    if (userPassword) yield* passwordIsSound(userPassword, field.child('userPassword'))
    if (Boolean(sshPublicKey) === Boolean(userPassword)) {
      yield invalidValue(field, 'choose one of sshPublicKey and userPassword')
    }
  }
}

function* sshKeyIsSound({ volumes = [] }: VmiSpec, key: SshKey, at: FieldPath): Iterable<Cause> {
  const { noCloud, configDrive, qemuGuestAgent } = key.propagationMethod ?? {}
  const field = at.child('propagationMethod')
  if (noCloud && !volumes.some(({ cloudInitNoCloud }) => cloudInitNoCloud)) {
    yield invalidValue(field, 'noCloud needs a cloudInitNoCloud volume')
  }
  if (configDrive && !volumes.some(({ cloudInitConfigDrive }) => cloudInitConfigDrive)) {
    yield invalidValue(field, 'configDrive needs a cloudInitConfigDrive volume')
  }
  if (qemuGuestAgent && (qemuGuestAgent.users ?? []).length === 0) {
    yield invalidValue(field.child('qemuGuestAgent', 'users'), 'name the users who get the key')
  }
  if (!key.source?.secret) yield invalidValue(at.child('source'), 'name the Secret with the keys')
  if ([noCloud, configDrive, qemuGuestAgent].filter(Boolean).length !== 1) {
    yield invalidValue(field, 'choose one of noCloud, configDrive and qemuGuestAgent')
  }
}

function* passwordIsSound(
  { source, propagationMethod }: NonNullable<Credential['userPassword']>,
  at: FieldPath,
): Iterable<Cause> {
  if (!source?.secret) yield invalidValue(at.child('source'), 'name the Secret with the passwords')
  if (!propagationMethod?.qemuGuestAgent) {
    yield invalidValue(at.child('propagationMethod'), 'passwords are set by qemuGuestAgent')
  }
}
