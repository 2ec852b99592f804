import { VMIS } from '../kinds/table.ts'
import { isDryRun } from './dry-run.ts'
import { askNode, findNode, getVmi } from './lookup.ts'
import type { Action, Call } from './subresource.ts'

/** Hardware reset: the same process, the same VMI. Its body is ignored. Source: contract 3.7. */
export const reset: Action = {
  type: 'action',
  resource: VMIS,
  name: 'reset',
  method: 'PUT',
  verb: 'update',
  kind: 'ResetOptions',
  description: 'Reset a VirtualMachineInstance.',
  success: 200,
  fields: {},
  run: resetGuest,
}

async function resetGuest(call: Call): Promise<void> {
  const isDry = isDryRun(call, reset.kind)
  const vmi = await getVmi(call)
  findNode(call.nodes, vmi)
  if (isDry) return
  await askNode(call.nodes, vmi, (node, guest) => node.reset(guest, call.signal))
}
