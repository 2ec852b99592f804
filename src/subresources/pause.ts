import { conflict, forbidden } from '../lib/errors.ts'
import { isTrue } from '../kinds/meta.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { VMIS } from '../kinds/table.ts'
import { decodeOptions, type OptionFields } from './body.ts'
import { isDryRun } from './dry-run.ts'
import { askNode, findNode, getVmi, VMI } from './lookup.ts'
import type { Action, Call } from './subresource.ts'

const FIELDS = { dryRun: 'strings' } as const satisfies OptionFields

/** Stops a running guest's virtual CPUs and keeps its memory. Source: contract 3.7. */
export const pause: Action = {
  type: 'action',
  resource: VMIS,
  name: 'pause',
  method: 'PUT',
  verb: 'update',
  kind: 'PauseOptions',
  description: 'Pause a VirtualMachineInstance.',
  success: 200,
  fields: FIELDS,
  run: pauseGuest,
}

async function pauseGuest(call: Call): Promise<void> {
  const { dryRun } = decodeOptions(call.body, FIELDS)
  const isDry = isDryRun(call, pause.kind, dryRun)
  const vmi = await getVmi(call)
  refusePause(vmi)
  findNode(call.nodes, vmi)
  if (isDry) return
  await askNode(call.nodes, vmi, (node, guest) => node.pause(guest, call.signal))
}

function refusePause({ metadata: { name }, spec, status }: Vmi): void {
  if (status?.phase !== 'Running') throw conflict(VMI, name, 'VMI is not running')
  if (spec.livenessProbe && !spec.livenessProbe.guestAgentPing) {
    throw forbidden(VMI, name, 'its liveness probe would fail and restart it; remove the probe to pause it')
  }
  if (isTrue(status.conditions, 'Paused')) throw conflict(VMI, name, 'VMI is already paused')
}
