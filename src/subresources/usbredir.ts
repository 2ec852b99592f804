import type { Duplex } from 'node:stream'
import { badRequest, conflict } from '../lib/errors.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { VMIS } from '../kinds/table.ts'
import { askNode, getVmi, VMI } from './lookup.ts'
import type { Call, Stream } from './subresource.ts'

/** A USB device of the client, in the usbredir protocol. Source: contract 4.1, 4.3, 4.5. */
export const usbredir: Stream = {
  type: 'stream',
  resource: VMIS,
  name: 'usbredir',
  method: 'GET',
  verb: 'get',
  kind: 'USBRedirOptions',
  description: 'Open a WebSocket to a USB redirection slot of a VirtualMachineInstance.',
  open: openUsbRedir,
}

async function openUsbRedir(call: Call): Promise<Duplex> {
  const vmi = await getVmi(call)
  refuseUsbRedir(vmi)
  return askNode(call.nodes, vmi, (node, guest) => node.usbredir(guest, call.signal))
}

function refuseUsbRedir({ metadata: { name }, spec, status }: Vmi): void {
  if (spec.architecture === 's390x') throw conflict(VMI, name, 'USB redirection is not there on s390x')
  if (!spec.domain.devices.clientPassthrough) {
    throw conflict(VMI, name, 'it takes no USB devices of clients (clientPassthrough is not set)')
  }
  if (status?.phase !== 'Running') throw badRequest(`${VMI.kind} "${name}" is not running`)
}
