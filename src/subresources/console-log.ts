import type { Readable } from 'node:stream'
import { badRequest, conflict, internalError, StatusError } from '../lib/errors.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { VMIS } from '../kinds/table.ts'
import type { ConsoleLogOptions } from '../rpc/actions.ts'
import { getVmi, guestOf, nodeOf, VMI } from './lookup.ts'
import { isExactlyYes, wrongParameter } from './session-options.ts'
import type { Call, Content, Download } from './subresource.ts'

/**
 * What the serial console has printed, also of a guest that has ended. Ours; its parameters are those of a pod's log.
 * Source: `PodLogOptions` in the Kubernetes API reference.
 */
export const consoleLog: Download = {
  type: 'download',
  resource: VMIS,
  name: 'console/log',
  method: 'GET',
  verb: 'get',
  kind: 'ConsoleLogOptions',
  description: 'Get what the serial console of a VirtualMachineInstance has printed.',
  parameters: {
    tailLines: { type: 'integer', description: 'The last so many lines; all that is kept where absent.' },
    sinceSeconds: { type: 'integer', description: 'What came in the last so many seconds.' },
    sinceTime: { type: 'string', description: 'What came after this moment; RFC 3339.' },
    limitBytes: { type: 'integer', description: 'At most so many bytes.' },
    follow: { type: 'boolean', description: 'Go on with what the guest prints from now on.' },
    timestamps: {
      type: 'boolean',
      description: 'Begin each line with the moment at which it came, in RFC 3339.',
    },
  },
  mediaType: 'text/plain; charset=utf-8',
  run: readLog,
}

/** Source: RFC 3339, 5.6. */
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/
const LONGEST_SECONDS = 1_000_000_000

async function readLog(call: Call): Promise<Content> {
  const options = optionsOf(call)
  const vmi = await getVmi(call)
  refuseLog(vmi)
  return { mediaType: consoleLog.mediaType, body: await askForLog(call, vmi, options) }
}

async function askForLog({ nodes, signal }: Call, vmi: Vmi, options: ConsoleLogOptions): Promise<Readable> {
  const node = nodeOf(nodes, vmi)
  try {
    return await node.consoleLog(guestOf(vmi), options, signal)
  } catch (error) {
    throw translate(error, vmi)
  }
}

/** What the node says of itself stays; a guest that it does not have (any more) has no log: 404. */
function translate(error: unknown, { metadata: { name }, status }: Vmi): unknown {
  if (!(error instanceof StatusError) || error.code === 503 || error.code === 504) return error
  const said = `node "${status?.nodeName}" answered ${error.code}: ${error.message}`
  switch (error.code) {
    case 400:
      return badRequest(error.message)
    case 404:
      return new StatusError(
        404,
        'NotFound',
        `nothing is kept of ${VMI.kind} "${name}": ${said}`,
        error.details,
      )
    case 409:
      return conflict(VMI, name, error.message)
    default:
      return internalError(said, error)
  }
}

function refuseLog({ metadata: { name }, spec, status }: Vmi): void {
  const { autoattachSerialConsole, logSerialConsole } = spec.domain.devices
  if (autoattachSerialConsole === false) {
    throw badRequest(`${VMI.kind} "${name}" has no serial console (autoattachSerialConsole is false)`)
  }
  if (logSerialConsole === false) {
    throw badRequest(`what ${VMI.kind} "${name}" prints is not kept (logSerialConsole is false)`)
  }
  if (!status?.nodeName) throw badRequest(`${VMI.kind} "${name}" is waiting to start`)
}

function optionsOf(call: Call): ConsoleLogOptions {
  const tailLines = wholeNumber(call, 'tailLines', 0)
  const limitBytes = wholeNumber(call, 'limitBytes', 1)
  const sinceTime = sinceOf(call)
  return {
    ...(tailLines !== undefined && { tailLines }),
    ...(limitBytes !== undefined && { limitBytes }),
    ...(sinceTime !== undefined && { sinceTime }),
    follow: isExactlyYes(call, 'follow'),
    timestamps: isExactlyYes(call, 'timestamps'),
  }
}

function sinceOf(call: Call): string | undefined {
  const { sinceTime } = call.query
  const sinceSeconds = wholeNumber(call, 'sinceSeconds', 1)
  if (sinceTime === undefined && sinceSeconds === undefined) return undefined
  if (sinceTime !== undefined && sinceSeconds !== undefined) {
    throw wrongParameter('sinceTime', 'at most one of sinceTime and sinceSeconds may be given')
  }
  if (sinceSeconds !== undefined) {
    return new Date(Date.now() - Math.min(sinceSeconds, LONGEST_SECONDS) * 1000).toISOString()
  }
  // What is no RFC 3339, or no day of the calendar, is no time.
  const ms = RFC_3339.test(sinceTime ?? '') ? Date.parse(sinceTime ?? '') : Number.NaN
  if (Number.isNaN(ms))
    throw wrongParameter('sinceTime', 'it must be a time in RFC 3339, as 2026-01-01T00:00:00Z')
  return new Date(ms).toISOString()
}

function wholeNumber({ query }: Call, name: string, least: number): number | undefined {
  const text = query[name]
  if (text === undefined) return undefined
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (number >= least) return number
  throw wrongParameter(name, `it must be a whole number, ${least} or more`)
}
