import { badRequest, conflict, serviceUnavailable, StatusError } from '../lib/errors.ts'
import type { JsonRecord } from '../lib/json.ts'
import { VMIS } from '../kinds/table.ts'
import type { BackupCheckpoint } from '../rpc/actions.ts'
import { decodeOptions, type OptionFields } from './body.ts'
import { isDryRun } from './dry-run.ts'
import { findNode, getVmi, guestOf, VMI } from './lookup.ts'
import type { Action, Call } from './subresource.ts'

const FIELDS = { name: 'string', creationTime: 'string', volumes: 'objects' } as const satisfies OptionFields

/** Makes a checkpoint known again after the guest has come up anew. Source: contract 3.8. */
export const redefineCheckpoint: Action = {
  type: 'action',
  resource: VMIS,
  name: 'redefine-checkpoint',
  method: 'PUT',
  verb: 'update',
  kind: 'BackupCheckpoint',
  description: 'Make a backup checkpoint of a VirtualMachineInstance known to its node again.',
  success: 200,
  fields: FIELDS,
  run: redefine,
}

async function redefine(call: Call): Promise<void> {
  const vmi = await getVmi(call)
  if (vmi.status?.changedBlockTracking?.state !== 'Enabled') {
    throw conflict(VMI, call.name, 'changed block tracking is not enabled')
  }
  const checkpoint = readCheckpoint(call)
  const node = findNode(call.nodes, vmi)
  if (isDryRun(call, redefineCheckpoint.kind)) return
  try {
    await node.redefineCheckpoint(guestOf(vmi), checkpoint, call.signal)
  } catch (error) {
    throw asRefusal(error)
  }
}

/** Those who ask look for code and phrase in the message (contract: K5). */
function asRefusal(error: unknown): unknown {
  if (!(error instanceof StatusError)) return error
  const { code, message } = error
  if (code === 400) return badRequest(message)
  if (code === 422) return new StatusError(422, 'Invalid', `422 Unprocessable Entity: ${message}`)
  return serviceUnavailable(`503 Service Unavailable: ${message}`)
}

const VOLUME_FIELDS = ['volumeName', 'diskTarget', 'dataEndpoint', 'mapEndpoint'] as const

function readCheckpoint({ body }: Call): BackupCheckpoint {
  const { volumes, ...rest } = decodeOptions(body, FIELDS)
  return { ...rest, ...(volumes && { volumes: volumes.map(readVolume) }) }
}

function readVolume(given: JsonRecord): NonNullable<BackupCheckpoint['volumes']>[number] {
  const volume: Partial<Record<(typeof VOLUME_FIELDS)[number], string>> = {}
  for (const field of VOLUME_FIELDS) {
    const value = given[field]
    if (typeof value === 'string') volume[field] = value
    else if (value !== undefined && value !== null) {
      throw badRequest(`the request body is not as expected: field "volumes.${field}" must be a text`)
    }
  }
  return volume
}
