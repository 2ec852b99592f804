import { badRequest, conflict, internalError } from '../lib/errors.ts'
import { isRecord } from '../lib/json.ts'
import type { KubeVirtConfiguration } from '../kinds/configuration.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { DRAIN_TAINT_KEY } from '../kinds/migration.ts'
import { NODES, VMIS, VMS } from '../kinds/table.ts'
import type { JsonPatchOperation } from '../store/store.ts'
import { decodeOptions, type OptionFields } from './body.ts'
import { isDryRun } from './dry-run.ts'
import { patchLocked } from './locked-patch.ts'
import { getVm, getVmi, isOwnedBy, VM, VMI } from './lookup.ts'
import type { Action, Call } from './subresource.ts'

const FIELDS = { evacuationNodeName: 'string', dryRun: 'strings' } as const satisfies OptionFields

const COMMON = {
  type: 'action',
  name: 'evacuate/cancel',
  method: 'PUT',
  verb: 'update',
  kind: 'EvacuateCancelOptions',
  success: 200,
  fields: FIELDS,
} as const

/** Withdraws the request that a guest leave its node. Source: contract 3.11. */
export const vmEvacuateCancel: Action = {
  ...COMMON,
  resource: VMS,
  description: 'Cancel the evacuation of a VirtualMachine.',
  run: (call) => cancelEvacuation(call, () => getVmiOfVm(call)),
}

/** The same for a guest by itself. */
export const vmiEvacuateCancel: Action = {
  ...COMMON,
  resource: VMIS,
  description: 'Cancel the evacuation of a VirtualMachineInstance.',
  run: (call) => cancelEvacuation(call, () => getVmi(call)),
}

/** Throws 404, and 409 where the VM has no guest or the VMI of its name is not its own. Source: contract 3.1.5. */
async function getVmiOfVm(call: Call): Promise<Vmi> {
  const vm = await getVm(call)
  if (!vm.status?.created) throw conflict(VM, call.name, 'VM has no VirtualMachineInstance')
  const vmi = await getVmi(call)
  if (!isOwnedBy(vmi, vm))
    throw conflict(VM, call.name, 'the VirtualMachineInstance of its name is not its own')
  return vmi
}

async function cancelEvacuation(call: Call, read: () => Promise<Vmi>): Promise<void> {
  const vmi = await read()
  await refuseWhileDrained(call, vmi)
  // There is nothing to be withdrawn; the body is not looked at.
  if (!vmi.status?.evacuationNodeName) return
  const options = decodeOptions(call.body, FIELDS)
  const dryRun = isDryRun(call, COMMON.kind, options.dryRun)
  await patchLocked(call, {
    kind: VMIS,
    read,
    decide: (now) => withdraw(now, options.evacuationNodeName),
    options: { dryRun },
  })
}

/** A node that is being emptied would ask again at once. Throws 400 then, and 500 where there is no such node. */
async function refuseWhileDrained(call: Call, { metadata, status }: Vmi): Promise<void> {
  const nodeName = status?.evacuationNodeName || status?.nodeName
  if (!nodeName) return
  const node = await call.store.get(NODES, '', nodeName)
  if (!node) {
    const why = `the node "${nodeName}" of "${metadata.name}" does not exist, so that nothing says whether it is being drained`
    throw internalError(why)
  }
  const key = drainKeyOf(await call.configuration())
  const isDrained = node.spec?.taints?.some((taint) => taint.key === key && taint.effect === 'NoSchedule')
  if (isDrained) {
    throw badRequest(`node "${nodeName}" is being drained: remove its taint ${key} to keep guests on it`)
  }
}

function drainKeyOf({ migrations }: KubeVirtConfiguration): string {
  const key = isRecord(migrations) ? migrations.nodeDrainTaintKey : undefined
  return typeof key === 'string' && key !== '' ? key : DRAIN_TAINT_KEY
}

/** Nothing named is whatever is set: virtctl names nothing (contract: F6). */
function withdraw({ metadata, status }: Vmi, named: string | undefined): JsonPatchOperation[] {
  const set = status?.evacuationNodeName
  if (named && named !== set) {
    throw conflict(VMI, metadata.name, `it is not to leave node "${named}", but ${set ? `"${set}"` : 'none'}`)
  }
  return set ? [{ op: 'remove', path: '/status/evacuationNodeName' }] : []
}
