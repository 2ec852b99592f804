import { conflict } from '../lib/errors.ts'
import { isTrue } from '../kinds/meta.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { VMIS } from '../kinds/table.ts'
import { isDryRun } from './dry-run.ts'
import { askNode, findNode, getVmi, VMI } from './lookup.ts'
import type { Action, Call } from './subresource.ts'

/** Asks the guest to reboot itself. Its body is ignored. Source: contract 3.7. */
export const softreboot: Action = {
  type: 'action',
  resource: VMIS,
  name: 'softreboot',
  method: 'PUT',
  verb: 'update',
  kind: 'SoftRebootOptions',
  description: 'Ask the guest of a VirtualMachineInstance to reboot.',
  success: 200,
  fields: {},
  run: rebootGuest,
}

async function rebootGuest(call: Call): Promise<void> {
  const isDry = isDryRun(call, softreboot.kind)
  const vmi = await getVmi(call)
  refuseReboot(vmi)
  findNode(call.nodes, vmi)
  if (isDry) return
  await askNode(call.nodes, vmi, (node, guest) => node.softreboot(guest, call.signal))
}

function refuseReboot({ metadata: { name }, spec, status }: Vmi): void {
  if (status?.phase !== 'Running') throw conflict(VMI, name, 'VMI is not running')
  if (isTrue(status.conditions, 'Paused')) throw conflict(VMI, name, 'VMI is paused')
  const hasAcpi = spec.domain.features?.acpi?.enabled !== false
  if (!hasAcpi && !isTrue(status.conditions, 'AgentConnected')) {
    throw conflict(VMI, name, 'neither a guest agent nor ACPI could carry the request to the guest')
  }
}
