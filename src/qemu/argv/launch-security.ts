import type { Build } from './build.ts'
import { needsKvm, resourceMissing } from './error.ts'
import { DOMAIN } from './spec.ts'

/** Bits of a guest's policy. Source: AMD's SEV API, "Guest Policy". */
const NO_DEBUG = 1
const ENCRYPTED_STATE = 4

/** Memory that is encrypted with a key which the host does not have. */
export function addLaunchSecurity({ plan, line, machine }: Build): void {
  const { sev } = plan.spec.domain.launchSecurity ?? {}
  if (!sev) return
  const at = DOMAIN.child('launchSecurity', 'sev')
  if (plan.accelerator !== 'kvm') throw needsKvm(at, 'needs KVM, which does not work on this node')
  if (!plan.sev) throw resourceMissing(at, 'the processor of this node has no SEV, or it is switched off')
  const { cbitpos, reducedPhysBits, sessionFile, dhCertFile } = plan.sev
  line.json('-object', {
    'qom-type': 'sev-guest',
    id: 'sev0',
    cbitpos,
    'reduced-phys-bits': reducedPhysBits,
    policy: NO_DEBUG | (sev.policy?.encryptedState ? ENCRYPTED_STATE : 0),
    ...(sessionFile && { 'session-file': sessionFile }),
    ...(dhCertFile && { 'dh-cert-file': dhCertFile }),
  })
  machine.push(['confidential-guest-support', 'sev0'])
}
