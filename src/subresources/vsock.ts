import type { Duplex } from 'node:stream'
import { badRequest } from '../lib/errors.ts'
import { VMIS } from '../kinds/table.ts'
import type { VsockOptions } from '../rpc/actions.ts'
import { askNode, findNode, getVmi, VMI } from './lookup.ts'
import type { Call, Stream } from './subresource.ts'

/** A connection to a vsock port in the guest. Source: contract 4.6. */
export const vsock: Stream = {
  type: 'stream',
  resource: VMIS,
  name: 'vsock',
  method: 'GET',
  verb: 'get',
  kind: 'VSOCKOptions',
  description: 'Open a WebSocket to a vsock port in the guest of a VirtualMachineInstance.',
  parameters: {
    port: { type: 'integer', description: 'The port in the guest.' },
    tls: {
      type: 'boolean',
      description: 'Speak TLS 1.3 to the guest, whose certificate is not checked. True where absent.',
    },
  },
  open: openVsock,
}

/** Source: `strconv.ParseBool` of Go. */
const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True']
const FALSE = ['0', 'f', 'F', 'FALSE', 'false', 'False']
const PORT = /^[1-9][0-9]{0,9}$/
const PORT_LIMIT = 2 ** 32 - 1

async function openVsock(call: Call): Promise<Duplex> {
  const vmi = await getVmi(call)
  if (vmi.spec.domain.devices.autoattachVSOCK !== true) {
    throw badRequest(`${VMI.kind} "${call.name}" has no vsock: autoattachVSOCK is not true`)
  }
  findNode(call.nodes, vmi)
  const options = readOptions(call)
  return askNode(call.nodes, vmi, (node, guest) => node.vsock(guest, options, call.signal))
}

/** Parsed here, so that nothing of the query reaches the node as it came (contract VS-2). Throws 400. */
function readOptions({ query: { port = '', tls = 'true' } }: Call): VsockOptions {
  if (!PORT.test(port) || Number(port) > PORT_LIMIT) {
    throw badRequest(
      `port ${JSON.stringify(port.slice(0, 40))} is none: write a number from 1 to ${PORT_LIMIT}`,
    )
  }
  if (!TRUE.includes(tls) && !FALSE.includes(tls)) {
    throw badRequest(`tls is ${JSON.stringify(tls.slice(0, 40))}: write true or false`)
  }
  return { port: Number(port), tls: TRUE.includes(tls) }
}
