import type { Duplex } from 'node:stream'
import { badRequest, conflict } from '../lib/errors.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { VMIS } from '../kinds/table.ts'
import { askNode, getVmi, VMI } from './lookup.ts'
import type { Call, Stream } from './subresource.ts'

/** The serial console. A newcomer takes over from whoever holds it. Source: contract 4.3 to 4.5. */
export const console: Stream = {
  resource: VMIS,
  name: 'console',
  method: 'GET',
  verb: 'get',
  kind: 'ConsoleOptions',
  description: 'Open a WebSocket to the serial console of a VirtualMachineInstance.',
  open: openConsole,
}

async function openConsole(call: Call): Promise<Duplex> {
  const vmi = await getVmi(call)
  refuseConsole(vmi)
  return askNode(call.nodes, vmi, (node, guest) => node.console(guest, call.signal))
}

/** "Not running yet" has to be 400: clients wait on that code and on no other (contract: K3). */
function refuseConsole({ metadata: { name }, spec, status }: Vmi): void {
  if (spec.domain.devices.autoattachSerialConsole === false) {
    throw badRequest(`${VMI.kind} "${name}" has no serial console (autoattachSerialConsole is false)`)
  }
  if (status?.phase === 'Failed') throw conflict(VMI, name, 'VMI has failed')
  if (status?.phase !== 'Running') throw badRequest(`${VMI.kind} "${name}" is not running`)
}
