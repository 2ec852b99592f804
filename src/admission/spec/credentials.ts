import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { addAll, invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'

type Credential = NonNullable<VmiSpec['accessCredentials']>[number]
type SshKey = NonNullable<Credential['sshPublicKey']>

/** Credentials come from a Secret and reach the guest in one way. Contract: VMI-AC-001 … 008. */
export function credentialsAreSound(spec: VmiSpec, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const [position, credential] of (spec.accessCredentials ?? []).entries()) {
    const field = at.child('accessCredentials').index(position)
    const { sshPublicKey, userPassword } = credential
    if (sshPublicKey) addAll(causes, sshKeyIsSound(spec, sshPublicKey, field.child('sshPublicKey')))
    if (userPassword) addAll(causes, passwordIsSound(userPassword, field.child('userPassword')))
    if (Boolean(sshPublicKey) === Boolean(userPassword)) {
      causes.push(invalidValue(field, 'choose one of sshPublicKey and userPassword'))
    }
  }
  return causes
}

function sshKeyIsSound({ volumes = [] }: VmiSpec, key: SshKey, at: FieldPath): Cause[] {
  const { noCloud, configDrive, qemuGuestAgent } = key.propagationMethod ?? {}
  const field = at.child('propagationMethod')
  const causes: Cause[] = []
  if (noCloud && !volumes.some(({ cloudInitNoCloud }) => cloudInitNoCloud)) {
    causes.push(invalidValue(field, 'noCloud needs a cloudInitNoCloud volume'))
  }
  if (configDrive && !volumes.some(({ cloudInitConfigDrive }) => cloudInitConfigDrive)) {
    causes.push(invalidValue(field, 'configDrive needs a cloudInitConfigDrive volume'))
  }
  if (qemuGuestAgent && (qemuGuestAgent.users ?? []).length === 0) {
    causes.push(invalidValue(field.child('qemuGuestAgent', 'users'), 'name the users who get the key'))
  }
  if (!key.source?.secret) causes.push(invalidValue(at.child('source'), 'name the Secret with the keys'))
  if ([noCloud, configDrive, qemuGuestAgent].filter(Boolean).length !== 1) {
    causes.push(invalidValue(field, 'choose one of noCloud, configDrive and qemuGuestAgent'))
  }
  return causes
}

function passwordIsSound(
  { source, propagationMethod }: NonNullable<Credential['userPassword']>,
  at: FieldPath,
): Cause[] {
  const causes: Cause[] = []
  if (!source?.secret) causes.push(invalidValue(at.child('source'), 'name the Secret with the passwords'))
  if (!propagationMethod?.qemuGuestAgent) {
    causes.push(invalidValue(at.child('propagationMethod'), 'passwords are set by qemuGuestAgent'))
  }
  return causes
}
