import { badRequest, conflict, StatusError } from '../lib/errors.ts'
import { VMIS } from '../kinds/table.ts'
import type { BackupOptions } from '../rpc/actions.ts'
import { decodeOptions, type OptionFields } from './body.ts'
import { isDryRun } from './dry-run.ts'
import { askNode, findNode, getVmi, VMI } from './lookup.ts'
import type { Action, Call } from './subresource.ts'

const FIELDS = {
  backupName: 'string',
  cmd: 'string',
  mode: 'string',
  backupStartTime: 'string',
  incremental: 'string',
  targetPath: 'string',
  skipQuiesce: 'boolean',
  exportServerAddr: 'string',
  exportServerName: 'string',
  backupKey: 'string',
  backupCert: 'string',
  caCert: 'string',
} as const satisfies OptionFields

/** Begins, or ends, a backup of a running guest's disks. Source: contract 3.8. */
export const backup: Action = {
  type: 'action',
  resource: VMIS,
  name: 'backup',
  method: 'PUT',
  verb: 'update',
  kind: 'BackupOptions',
  description: "Back up the disks of a VirtualMachineInstance's guest.",
  success: 200,
  fields: FIELDS,
  run: backUp,
}

const COMMANDS = ['Start', 'Abort', 'Export'] as const
const MODES = ['Push', 'Pull'] as const

async function backUp(call: Call): Promise<void> {
  const vmi = await getVmi(call)
  if (vmi.status?.phase !== 'Running') throw conflict(VMI, call.name, 'VMI is not running')
  const options = readOptions(call)
  if (isDryRun(call, backup.kind)) {
    findNode(call.nodes, vmi)
    return
  }
  await askNode(call.nodes, vmi, async (node, guest) => {
    try {
      await node.backup(guest, options, call.signal)
    } catch (error) {
      throw error instanceof StatusError && error.code === 400 ? new Refused(error) : error
    }
  }).catch((error: unknown) => {
    throw error instanceof Refused ? badRequest(error.message) : error
  })
}

/** The node does not take the options: for the caller to mend. */
class Refused extends Error {
  constructor(cause: StatusError) {
    super(cause.message, { cause })
    this.name = 'Refused'
  }
}

function readOptions({ body }: Call): BackupOptions {
  const { cmd, mode, ...rest } = decodeOptions(body, FIELDS)
  return {
    ...rest,
    ...(cmd && { cmd: oneOf(COMMANDS, 'cmd', cmd) }),
    ...(mode && { mode: oneOf(MODES, 'mode', mode) }),
  }
}

function oneOf<T extends string>(words: readonly T[], field: string, value: string): T {
  const found = words.find((word) => word === value)
  if (found !== undefined) return found
  throw badRequest(`${field} is ${JSON.stringify(value.slice(0, 40))}: write one of ${words.join(', ')}`)
}
