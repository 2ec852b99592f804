/** What client and server agree on. Source: contract, worker reference, section 6. */
import { internalError, StatusError, type Status } from '../lib/errors.ts'
import { isRecord } from '../lib/json.ts'

/** Versions of the calls that this program speaks, newest first. */
export const RPC_VERSIONS = ['1'] as const
/** Header with the version a request or an answer is in. */
export const VERSION_HEADER = 'virtgate-rpc'
/** What a connection becomes for a byte stream. */
export const RAW_PROTOCOL = 'virtgate-raw/1'
/** Header of an upgrade's answer: under this id the worker tells afterwards how the stream ended. */
export const SESSION_HEADER = 'virtgate-session'

/** Bodies of calls and answers: screenshots and the generated images of a guest that moves are among them. A watch is not limited; a line of it is, by `LINE_LIMIT_BYTES`. */
export const BODY_LIMIT_BYTES = 16 * 1024 * 1024
/** One line of a watch: a snapshot holds all guests of a node. */
export const LINE_LIMIT_BYTES = 64 * 1024 * 1024
/** Bytes of a stream that may wait, each way. */
export const STREAM_BUFFER_BYTES = 256 * 1024
/** A watch on which nothing else happens says so this often. */
export const HEARTBEAT_MS = 10_000

/** A certificate with its key and the authority that signs all of them; PEM. */
export interface RpcTls {
  cert: string
  key: string
  ca: string
}

/** How a byte stream ended, as the worker tells it. */
export type StreamVerdict = (typeof STREAM_VERDICTS)[number]
export const STREAM_VERDICTS = ['ended', 'broken', 'displaced', 'behind', 'draining'] as const

/** What goes over the wire for an error: refusals as they are, nothing of anything else. */
export function toWireError(error: unknown): StatusError {
  return error instanceof StatusError ? error : internalError('the worker failed; its log says why', error)
}

/** The refusal in the text of an answer; `undefined` where that is none. */
export function fromWireError(text: string, code: number): StatusError | undefined {
  const body = parse(text)
  if (!isRecord(body) || body.kind !== 'Status') return undefined
  const { reason, message, details } = body
  const status: Partial<Status> = {
    code,
    ...(typeof reason === 'string' && { reason }),
    ...(typeof message === 'string' && { message }),
    ...(isRecord(details) && { details }),
  }
  return StatusError.fromStatus(status, code)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // What is no JSON is no Status either.
    return undefined
  }
}
