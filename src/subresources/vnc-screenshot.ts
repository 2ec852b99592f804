import { badGateway, badRequest, conflict, StatusError } from '../lib/errors.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { VMIS } from '../kinds/table.ts'
import { findNode, getVmi, guestOf, VMI } from './lookup.ts'
import { isYes } from './session-options.ts'
import type { Call, Content, Download } from './subresource.ts'

/** A picture of the display. Source: contract 4.9, with Status answers; `moveCursor` does what it says. */
export const vncScreenshot: Download = {
  type: 'download',
  resource: VMIS,
  name: 'vnc/screenshot',
  method: 'GET',
  verb: 'get',
  kind: 'ScreenshotOptions',
  description: 'Get what the display of a VirtualMachineInstance shows, as PNG.',
  parameters: {
    moveCursor: {
      type: 'boolean',
      description: 'Move the pointer a little before, to wake a screen that went dark.',
    },
  },
  mediaType: 'image/png',
  run: takeScreenshot,
}

async function takeScreenshot(call: Call): Promise<Content> {
  const vmi = await getVmi(call)
  refuseScreenshot(vmi)
  const node = findNode(call.nodes, vmi)
  const options = { moveCursor: isYes(call, 'moveCursor') }
  try {
    const body = await node.screenshot(guestOf(vmi), options, call.signal)
    return { mediaType: vncScreenshot.mediaType, body }
  } catch (error) {
    throw translate(error, vmi)
  }
}

/** 409 stays, 503 and 504 (the node or QEMU does not answer) stay, everything else is 502 that quotes the node. */
function translate(error: unknown, { metadata: { name }, status }: Vmi): unknown {
  if (!(error instanceof StatusError) || error.code === 503 || error.code === 504) return error
  if (error.code === 409) return conflict(VMI, name, error.message)
  return badGateway(`node "${status?.nodeName}" answered ${error.code}: ${error.message}`, error)
}

function refuseScreenshot({ metadata: { name }, spec, status }: Vmi): void {
  if (status?.phase !== 'Running') throw conflict(VMI, name, 'VMI is not running')
  if (spec.domain.devices.autoattachGraphicsDevice === false) {
    throw badRequest(`${VMI.kind} "${name}" has no display (autoattachGraphicsDevice is false)`)
  }
}
