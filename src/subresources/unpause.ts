import { conflict } from '../lib/errors.ts'
import { isTrue } from '../kinds/meta.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { VMIS, VMS } from '../kinds/table.ts'
import { decodeOptions, type OptionFields } from './body.ts'
import { isDryRun } from './dry-run.ts'
import { askNode, findNode, getVmi, VM, VMI } from './lookup.ts'
import type { Action, Call } from './subresource.ts'

const FIELDS = { dryRun: 'strings' } as const satisfies OptionFields

/** Lets a paused guest's virtual CPUs run again. Source: contract 3.7. */
export const unpause: Action = {
  type: 'action',
  resource: VMIS,
  name: 'unpause',
  method: 'PUT',
  verb: 'update',
  kind: 'UnpauseOptions',
  description: 'Unpause a VirtualMachineInstance.',
  success: 200,
  fields: FIELDS,
  run: unpauseGuest,
}

async function unpauseGuest(call: Call): Promise<void> {
  await refuseDuringSnapshot(call)
  const { dryRun } = decodeOptions(call.body, FIELDS)
  const isDry = isDryRun(call, unpause.kind, dryRun)
  const vmi = await getVmi(call)
  refuseUnpause(vmi)
  findNode(call.nodes, vmi)
  if (isDry) return
  await askNode(call.nodes, vmi, (node, guest) => node.unpause(guest, call.signal))
}

/** A snapshot may have paused the guest: resuming it would spoil the disks that are being copied. */
async function refuseDuringSnapshot({ store, namespace, name }: Call): Promise<void> {
  const vm = await store.get(VMS, namespace, name)
  const snapshot = vm?.status?.snapshotInProgress
  if (snapshot) throw conflict(VM, name, `snapshot "${snapshot}" is in progress`)
}

function refuseUnpause({ metadata: { name }, status }: Vmi): void {
  if (status?.phase !== 'Running') throw conflict(VMI, name, 'VMI is not running')
  if (!isTrue(status.conditions, 'Paused')) throw conflict(VMI, name, 'VMI is not paused')
}
