import { VMIS } from '../kinds/table.ts'
import { getRunningVmi } from './agent-vmi.ts'
import { isDryRun } from './dry-run.ts'
import { askNode, findNode } from './lookup.ts'
import type { Action, Call } from './subresource.ts'

/** Has the guest's agent thaw its file systems. Its body is ignored. Source: contract 3.7 and 5.3. */
export const unfreeze: Action = {
  type: 'action',
  resource: VMIS,
  name: 'unfreeze',
  method: 'PUT',
  verb: 'update',
  kind: 'FreezeUnfreezeTimeout',
  description: 'Thaw the file systems of a VirtualMachineInstance.',
  success: 200,
  fields: {},
  run: thawGuest,
}

async function thawGuest(call: Call): Promise<void> {
  const isDry = isDryRun(call, unfreeze.kind)
  const vmi = await getRunningVmi(call)
  findNode(call.nodes, vmi)
  if (isDry) return
  await askNode(call.nodes, vmi, (node, guest) => node.unfreeze(guest, call.signal))
}
