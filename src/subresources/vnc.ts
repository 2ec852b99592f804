import type { Duplex } from 'node:stream'
import { badRequest, conflict, StatusError } from '../lib/errors.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { VMIS } from '../kinds/table.ts'
import { askNode, findNode, getVmi, VMI } from './lookup.ts'
import type { Call, Stream } from './subresource.ts'

/** The display, in the RFB protocol. Source: contract 4.1 to 4.5. */
export const vnc: Stream = {
  resource: VMIS,
  name: 'vnc',
  method: 'GET',
  verb: 'get',
  kind: 'VNCOptions',
  description: 'Open a WebSocket to the display of a VirtualMachineInstance.',
  parameters: {
    preserveSession: { type: 'boolean', description: 'Refuse rather than take over from another session.' },
  },
  open: openVnc,
}

/** What counts as yes; everything else is no. Source: `strconv.ParseBool` of Go. */
const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True']

async function openVnc(call: Call): Promise<Duplex> {
  const vmi = await getVmi(call)
  refuseVnc(vmi)
  const preserveSession = TRUE.includes(call.query.preserveSession ?? '')
  findNode(call.nodes, vmi)
  try {
    return await askNode(call.nodes, vmi, (node, guest) => node.vnc(guest, { preserveSession }, call.signal))
  } catch (error) {
    if (!preserveSession || !isInUse(error)) throw error
    throw conflict(VMI, call.name, 'another VNC session is active')
  }
}

/** The node's own "in use", not a node that cannot be reached. */
function isInUse(error: unknown): boolean {
  return error instanceof StatusError && error.code === 503 && error.name === 'StatusError'
}

function refuseVnc({ metadata: { name }, spec, status }: Vmi): void {
  if (spec.domain.devices.autoattachGraphicsDevice === false) {
    throw badRequest(`${VMI.kind} "${name}" has no display (autoattachGraphicsDevice is false)`)
  }
  if (status?.phase !== 'Running') throw badRequest(`${VMI.kind} "${name}" is not running`)
}
