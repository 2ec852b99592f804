import type { Duplex } from 'node:stream'
import { VMIS } from '../kinds/table.ts'
import type { ExecOptions } from '../rpc/actions.ts'
import { getAgentVmi } from './agent-vmi.ts'
import { askNode } from './lookup.ts'
import { isExactlyYes, wrongParameter } from './session-options.ts'
import type { Call, Stream } from './subresource.ts'

/**
 * Runs a program in the guest through its agent: `?command=ls&command=-l&timeoutSeconds=30`. Its output and its end come
 * as with `exec` of a pod. Who may read may not do this: its verb is `create`.
 */
export const guestexec: Stream = {
  type: 'stream',
  resource: VMIS,
  name: 'guestexec',
  method: 'GET',
  verb: 'create',
  kind: 'GuestExecOptions',
  description:
    'Run a program in the guest of a VirtualMachineInstance, and follow its output over a WebSocket.',
  parameters: {
    command: {
      type: 'string',
      description: 'The program; further ones are its arguments. Not passed to a shell.',
    },
    timeoutSeconds: { type: 'integer', description: 'End it after so many seconds; 0 or absent is never.' },
    stdout: { type: 'boolean', description: 'Its output always comes.' },
    stderr: { type: 'boolean', description: 'Its messages always come.' },
    stdin: { type: 'boolean', description: 'Not supported: guest agents hand no input on.' },
    tty: { type: 'boolean', description: 'Not supported: guest agents have no terminal.' },
  },
  audited: ['command'],
  framing: () => 'exec',
  open: runInGuest,
}

const COMMAND_LIMIT = 32 * 1024
/** A year: more is a mistake. */
const TIMEOUT_LIMIT = 365 * 24 * 60 * 60

async function runInGuest(call: Call): Promise<Duplex> {
  const options = readOptions(call)
  const vmi = await getAgentVmi(call)
  return askNode(call.nodes, vmi, (node, guest) => node.guestExec(guest, options, call.signal))
}

/** Throws 400. */
function readOptions(call: Call): ExecOptions {
  const command = call.queryAll('command')
  if (!command[0]) throw wrongParameter('command', 'it is required: name a program, such as command=ls')
  if (command.some((word) => word.includes('\0')))
    throw wrongParameter('command', 'it has a NUL character in it')
  if (Buffer.byteLength(command.join('')) > COMMAND_LIMIT)
    throw wrongParameter('command', `it is longer than ${COMMAND_LIMIT} bytes`)
  for (const name of ['stdin', 'tty']) {
    if (isExactlyYes(call, name))
      throw wrongParameter(name, 'the guest agent hands no input on and has no terminal: leave it out')
  }
  return { command, timeoutSeconds: readSeconds(call.query.timeoutSeconds) }
}

function readSeconds(text: string | undefined): number {
  if (text === undefined || text === '') return 0
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : NaN
  if (seconds <= TIMEOUT_LIMIT) return seconds
  throw wrongParameter('timeoutSeconds', `it must be a whole number of seconds, at most ${TIMEOUT_LIMIT}`)
}
