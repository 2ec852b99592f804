import { badRequest, conflict, notFound } from '../lib/errors.ts'
import { hasGate } from '../kinds/configuration.ts'
import { isTrue } from '../kinds/meta.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { findVmi, VMI } from './lookup.ts'
import type { Call } from './subresource.ts'

const GATE = 'WorkloadEncryptionSEV'

/** What a SEV guest has to be for a subresource. */
export interface SevState {
  phases: readonly ('Scheduled' | 'Running')[]
  /** It waits with its CPUs stopped. */
  paused?: true
}

/**
 * The VMI that is to be attested, in a state that allows it. Throws 400 where the gate is off, 404, and 409 for another
 * state. Source: contract 3.14.
 */
export async function getSevVmi(call: Call, { phases, paused }: SevState): Promise<Vmi> {
  await refuseWithoutGate(call)
  const { name } = call
  const vmi = await findVmi(call)
  if (!vmi) throw notFound(VMI, name)
  const { status } = vmi
  if (!phases.some((phase) => phase === status?.phase)) {
    throw conflict(VMI, name, `VMI is not ${phases.join(' or ').toLowerCase()}`)
  }
  if (!vmi.spec.domain.launchSecurity?.sev?.attestation) {
    throw conflict(VMI, name, 'attestation is not requested: set launchSecurity.sev.attestation')
  }
  if (paused && !isTrue(status?.conditions, 'Paused')) throw conflict(VMI, name, 'VMI is not paused')
  return vmi
}

/** Throws 400 where the feature gate is off. */
export async function refuseWithoutGate({ configuration }: Call): Promise<void> {
  if (hasGate(await configuration(), GATE)) return
  throw badRequest(`the feature gate ${GATE} is off: turn it on in the KubeVirt object`)
}
