import type { Duplex } from 'node:stream'
import { badRequest, conflict } from '../lib/errors.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { isTrue } from '../kinds/meta.ts'
import { VMIS, VMS } from '../kinds/table.ts'
import type { PortForwardOptions } from '../rpc/actions.ts'
import { askNode, getVm, getVmi, isOwnedBy, VM, VMI } from './lookup.ts'
import type { Call, Stream } from './subresource.ts'

const PATHS = ['/:port', '/:port/:protocol']
/** Decimal, without sign or leading zeros. */
const PORT = /^[1-9][0-9]{0,4}$/
const PORT_LIMIT = 65_535

const common = {
  type: 'stream',
  name: 'portforward',
  method: 'GET',
  verb: 'get',
  kind: 'PortForwardOptions',
  paths: PATHS,
  framing: ({ params }) => (params['protocol'] === 'udp' ? 'datagrams' : 'bytes'),
  halfClose: true,
} satisfies Partial<Stream>

/** A connection to a TCP or UDP port in a guest. Source: contract 4.7. */
export const portforward: Stream = {
  ...common,
  resource: VMIS,
  description: 'Open a WebSocket to a TCP or UDP port in the guest of a VirtualMachineInstance.',
  open: async (call) => forward(call, await getVmi(call)),
}

/** The same by the name of the VM. */
export const vmPortforward: Stream = {
  ...common,
  resource: VMS,
  description: 'Open a WebSocket to a TCP or UDP port in the guest of a VirtualMachine.',
  open: async (call) => forward(call, await getOwnVmi(call)),
}

/** The VMI that came from the VM; a stand-alone one of that name is somebody else's. Source: contract 3.1.5. */
async function getOwnVmi(call: Call): Promise<Vmi> {
  const vm = await getVm(call)
  if (!vm.status?.created) throw conflict(VM, call.name, 'VM is not running')
  const vmi = await getVmi(call)
  if (isOwnedBy(vmi, vm)) return vmi
  throw conflict(VM, call.name, 'a VirtualMachineInstance of that name exists that does not belong to it')
}

async function forward(call: Call, vmi: Vmi): Promise<Duplex> {
  const { status } = vmi
  const options = readTarget(call)
  if (isTrue(status?.conditions, 'Paused')) throw conflict(VMI, call.name, 'VMI is paused')
  // Its node alone knows the addresses that count; a guest without a card needs no asking.
  if (!status?.interfaces?.length) throw badRequest(`${VMI.kind} "${call.name}" has no network interface`)
  return askNode(call.nodes, vmi, (node, guest) => node.portForward(guest, options, call.signal))
}

/** Port and protocol of the path. Throws 400. */
function readTarget({ params: { port = '', protocol = 'tcp' } }: Call): PortForwardOptions {
  if (!PORT.test(port) || Number(port) > PORT_LIMIT) {
    throw badRequest(
      `${JSON.stringify(port.slice(0, 40))} is no port: write a number from 1 to ${PORT_LIMIT}`,
    )
  }
  if (protocol === 'tcp' || protocol === 'udp') return { port: Number(port), protocol }
  throw badRequest(`${JSON.stringify(protocol.slice(0, 40))} is no protocol: write tcp or udp`)
}
