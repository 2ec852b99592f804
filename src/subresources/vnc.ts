import type { Duplex } from 'node:stream'
import { badRequest } from '../lib/errors.ts'
import type { KubeVirtConfiguration } from '../kinds/configuration.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { VMIS } from '../kinds/table.ts'
import { askNode, findNode, getVmi, VMI } from './lookup.ts'
import { isYes, refuseTakeOver, userOf } from './session-options.ts'
import type { Call, Stream } from './subresource.ts'

/** The display, in the RFB protocol. Source: contract 4.1 to 4.5; more than one session is ours. */
export const vnc: Stream = {
  type: 'stream',
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

async function openVnc(call: Call): Promise<Duplex> {
  const vmi = await getVmi(call)
  refuseVnc(vmi)
  findNode(call.nodes, vmi)
  const options = {
    preserveSession: isYes(call, 'preserveSession'),
    maxSessions: maxSessionsOf(await call.configuration()),
    user: userOf(call),
  }
  try {
    return await askNode(call.nodes, vmi, (node, guest) => node.vnc(guest, options, call.signal))
  } catch (error) {
    throw refuseTakeOver(error, call.name, 'VNC')
  }
}

/** Sessions that one display has at most: a whole number from 1; 1 where that is not what is set. */
function maxSessionsOf({ maxVNCConnectionsPerVMI: max }: KubeVirtConfiguration): number {
  return typeof max === 'number' && Number.isSafeInteger(max) && max >= 1 ? max : 1
}

function refuseVnc({ metadata: { name }, spec, status }: Vmi): void {
  if (spec.domain.devices.autoattachGraphicsDevice === false) {
    throw badRequest(`${VMI.kind} "${name}" has no display (autoattachGraphicsDevice is false)`)
  }
  if (status?.phase !== 'Running') throw badRequest(`${VMI.kind} "${name}" is not running`)
}
