import { conflict } from '../lib/errors.ts'
import type { Vm } from '../kinds/kubevirt.ts'
import { VMS } from '../kinds/table.ts'
import type { JsonPatchOperation } from '../store/store.ts'
import { isDryRun } from './dry-run.ts'
import { patchLocked, setInStatus } from './locked-patch.ts'
import { getVm, VM } from './lookup.ts'
import { DUMP_FIELDS } from './memorydump.ts'
import type { Action, Call } from './subresource.ts'

/** Takes the claim of a memory dump off a VM; claim and file stay. Source: contract 3.10. */
export const removeMemoryDump: Action = {
  type: 'action',
  resource: VMS,
  name: 'removememorydump',
  method: 'PUT',
  verb: 'update',
  kind: 'VirtualMachineMemoryDumpRequest',
  description: 'Dissociate the memory dump from a VirtualMachine; the claim is kept.',
  success: 202,
  // Its body is ignored.
  fields: DUMP_FIELDS,
  run: removeDump,
}

async function removeDump(call: Call): Promise<void> {
  const dryRun = isDryRun(call, removeMemoryDump.kind)
  await patchLocked(call, {
    kind: VMS,
    read: () => getVm(call),
    decide: planRemoval,
    options: { dryRun, subresource: 'status' },
  })
}

function planRemoval({ metadata, status }: Vm): JsonPatchOperation[] {
  const request = status?.memoryDumpRequest
  if (!request) throw conflict(VM, metadata.name, 'no memory dump is associated with the VM')
  if (request.remove) throw conflict(VM, metadata.name, 'the memory dump is being removed already')
  const { claimName } = request
  return [setInStatus(status, 'memoryDumpRequest', { claimName, phase: 'Dissociating', remove: true })]
}
