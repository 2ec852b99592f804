import type { Duplex } from 'node:stream'
import { badRequest, conflict } from '../lib/errors.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { VMIS } from '../kinds/table.ts'
import type { ConsoleOptions } from '../rpc/actions.ts'
import { askNode, getVmi, VMI } from './lookup.ts'
import { isYes, refuseTakeOver, userOf, wrongParameter } from './session-options.ts'
import type { Call, Stream } from './subresource.ts'

/**
 * The serial console. A newcomer takes over from whoever types; viewers read beside them. Source: contract 4.3 to 4.5;
 * `mode` and `preserveSession` are ours.
 */
export const console: Stream = {
  type: 'stream',
  resource: VMIS,
  name: 'console',
  method: 'GET',
  verb: 'get',
  kind: 'ConsoleOptions',
  description: 'Open a WebSocket to the serial console of a VirtualMachineInstance.',
  parameters: {
    mode: {
      type: 'string',
      description: '"write" (the default) types and reads; "view" only reads, beside whoever else does.',
    },
    preserveSession: {
      type: 'boolean',
      description: 'Refuse rather than take over while somebody else types.',
    },
  },
  open: openConsole,
}

async function openConsole(call: Call): Promise<Duplex> {
  const mode = modeOf(call)
  const vmi = await getVmi(call)
  refuseConsole(vmi)
  const options = { mode, preserveSession: isYes(call, 'preserveSession'), user: userOf(call) }
  try {
    return await askNode(call.nodes, vmi, (node, guest) => node.console(guest, options, call.signal))
  } catch (error) {
    throw refuseTakeOver(error, call.name, 'console')
  }
}

function modeOf({ query: { mode = 'write' } }: Call): ConsoleOptions['mode'] {
  if (mode === 'write' || mode === 'view') return mode
  throw wrongParameter('mode', 'it must be "write" or "view"')
}

/** "Not running yet" has to be 400: clients wait on that code and on no other (contract: K3). */
function refuseConsole({ metadata: { name }, spec, status }: Vmi): void {
  if (spec.domain.devices.autoattachSerialConsole === false) {
    throw badRequest(`${VMI.kind} "${name}" has no serial console (autoattachSerialConsole is false)`)
  }
  if (status?.phase === 'Failed') throw conflict(VMI, name, 'VMI has failed')
  if (status?.phase !== 'Running') throw badRequest(`${VMI.kind} "${name}" is not running`)
}
