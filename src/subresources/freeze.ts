import { badRequest } from '../lib/errors.ts'
import { parseGoDuration } from '../lib/go-duration.ts'
import { VMIS } from '../kinds/table.ts'
import { getRunningVmi } from './agent-vmi.ts'
import { decodeOptions, type OptionFields } from './body.ts'
import { isDryRun } from './dry-run.ts'
import { askNode, findNode } from './lookup.ts'
import type { Action, Call } from './subresource.ts'

const FIELDS = { unfreezeTimeout: 'string' } as const satisfies OptionFields

/** Has the guest's agent freeze its file systems. Source: contract 3.7 and 5.3. */
export const freeze: Action = {
  type: 'action',
  resource: VMIS,
  name: 'freeze',
  method: 'PUT',
  verb: 'update',
  kind: 'FreezeUnfreezeTimeout',
  description: 'Freeze the file systems of a VirtualMachineInstance.',
  success: 200,
  fields: FIELDS,
  run: freezeGuest,
}

async function freezeGuest(call: Call): Promise<void> {
  const isDry = isDryRun(call, freeze.kind)
  const vmi = await getRunningVmi(call)
  const unfreezeSeconds = readTimeout(decodeOptions(call.body, FIELDS).unfreezeTimeout)
  findNode(call.nodes, vmi)
  if (isDry) return
  await askNode(call.nodes, vmi, (node, guest) => node.freeze(guest, { unfreezeSeconds }, call.signal))
}

/**
 * Whole seconds of a duration; 0 is never. What is shorter than a second is one, and not never (contract: F26).
 * Throws 400.
 */
function readTimeout(text: string | undefined): number {
  if (text === undefined) {
    throw refuse('it is required: say when the guest is to thaw by itself, such as "5m0s", or "0s" for never')
  }
  let seconds: number
  try {
    seconds = parseGoDuration(text)
  } catch (error) {
    if (error instanceof RangeError) throw refuse(error.message)
    throw error
  }
  if (seconds < 0) throw refuse('it is negative')
  return Math.ceil(seconds)
}

function refuse(why: string): Error {
  return badRequest(`unfreezeTimeout: ${why}`, [
    { reason: 'FieldValueInvalid', message: why, field: 'unfreezeTimeout' },
  ])
}
