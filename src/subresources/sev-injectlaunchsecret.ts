import { badRequest } from '../lib/errors.ts'
import { VMIS } from '../kinds/table.ts'
import { decodeOptions, type OptionFields } from './body.ts'
import { isDryRun } from './dry-run.ts'
import { askNode, findNode } from './lookup.ts'
import { getSevVmi } from './sev.ts'
import type { Action, Call } from './subresource.ts'

const FIELDS = { header: 'string', secret: 'string' } as const satisfies OptionFields

/** Gives a SEV guest that was measured its secret. Source: contract 3.14. */
export const sevInjectLaunchSecret: Action = {
  type: 'action',
  resource: VMIS,
  name: 'sev/injectlaunchsecret',
  method: 'PUT',
  verb: 'update',
  kind: 'SEVSecretOptions',
  description: 'Inject a secret into a SEV VirtualMachineInstance before it runs.',
  success: 200,
  fields: FIELDS,
  run: injectSecret,
}

async function injectSecret(call: Call): Promise<void> {
  const vmi = await getSevVmi(call, { phases: ['Running'], paused: true })
  const { header, secret } = decodeOptions(call.body, FIELDS)
  if (!header || !secret) throw badRequest('header and secret are both needed: write them in base64')
  if (isDryRun(call, sevInjectLaunchSecret.kind)) {
    findNode(call.nodes, vmi)
    return
  }
  await askNode(call.nodes, vmi, (node, guest) =>
    node.sevInjectSecret(guest, { header, secret }, call.signal),
  )
}
