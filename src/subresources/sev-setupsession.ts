import { badRequest, conflict } from '../lib/errors.ts'
import { VMIS } from '../kinds/table.ts'
import type { JsonPatchOperation } from '../store/store.ts'
import { decodeOptions, type OptionFields } from './body.ts'
import { isDryRun } from './dry-run.ts'
import { VMI } from './lookup.ts'
import { getSevVmi, refuseWithoutGate } from './sev.ts'
import type { Action, Call } from './subresource.ts'

const FIELDS = { session: 'string', dhCert: 'string' } as const satisfies OptionFields

/** Gives a SEV guest that waits to be started the session of its owner. Source: contract 3.14. */
export const sevSetupSession: Action = {
  type: 'action',
  resource: VMIS,
  name: 'sev/setupsession',
  method: 'PUT',
  verb: 'update',
  kind: 'SEVSessionOptions',
  description: 'Set up the SEV session of a VirtualMachineInstance.',
  success: 202,
  fields: FIELDS,
  run: setUpSession,
}

const PATH = '/spec/domain/launchSecurity/sev'

async function setUpSession(call: Call): Promise<void> {
  await refuseWithoutGate(call)
  const { session, dhCert } = decodeOptions(call.body, FIELDS)
  if (!session) throw badRequest('session is missing: write it in base64')
  if (!dhCert) throw badRequest('dhCert is missing: write it in base64')
  const vmi = await getSevVmi(call, { phases: ['Scheduled'] })
  const { sev = {} } = vmi.spec.domain.launchSecurity ?? {}
  if (sev.session) throw conflict(VMI, call.name, 'the session is set already')
  if (sev.dhCert) throw conflict(VMI, call.name, 'dhCert is set already')
  // What stood there when it was read, so that of two who come at once one is refused.
  const operations: JsonPatchOperation[] = [
    { op: 'test', path: '/metadata/resourceVersion', value: vmi.metadata.resourceVersion },
    { op: 'replace', path: PATH, value: { ...sev, session, dhCert } },
  ]
  const dryRun = isDryRun(call, sevSetupSession.kind)
  await call.store.patch(VMIS, call.namespace, call.name, { type: 'json', operations }, { dryRun })
}
