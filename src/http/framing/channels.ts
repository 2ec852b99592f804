/**
 * The channels in which Kubernetes clients read what a program says: the first byte of each message tells which.
 * Source: `v4.channel.k8s.io` and `v5.channel.k8s.io` in `k8s.io/apimachinery/pkg/util/remotecommand`.
 */
import { Transform } from 'node:stream'
import type { Status } from '../../lib/errors.ts'
import { isRecord } from '../../lib/json.ts'

/** Subprotocols whose messages begin with a channel, the newest first. */
export const CHANNEL_PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const

const STDOUT = 1
const STDERR = 2
const ERROR = 3

/** A line holds at most one piece of output, in base64. */
const LINE_LIMIT_BYTES = 1024 * 1024
const NEWLINE = 0x0a

/** Whether the messages of a subprotocol begin with a channel. */
export function isChannelProtocol(protocol: string): boolean {
  return CHANNEL_PROTOCOLS.some((name) => name === protocol)
}

/** Turns lines of `ExecOutput` into messages. Fails where a line is none, or is longer than 1 MiB. */
export function channelWriter(): Transform {
  const kept: Buffer[] = []
  let keptBytes = 0
  return new Transform({
    readableObjectMode: true,
    readableHighWaterMark: 1,
    transform(chunk: Buffer, _encoding, done) {
      let rest = chunk
      try {
        for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
          const line = Buffer.concat([...kept.splice(0), rest.subarray(0, end)])
          keptBytes = 0
          rest = rest.subarray(end + 1)
          if (line.length > 0) this.push(messageOf(line.toString('utf8')))
        }
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)))
        return
      }
      if (rest.length > 0) kept.push(rest)
      keptBytes += rest.length
      done(keptBytes > LINE_LIMIT_BYTES ? new Error('a line of output has no end') : null)
    },
  })
}

/** Throws where the line is no `ExecOutput`. */
function messageOf(line: string): Buffer {
  const output: unknown = JSON.parse(line)
  if (!isRecord(output)) throw new Error('a line of output is no object')
  const { stdout, stderr, exitCode, failure } = output
  if (typeof stdout === 'string') return onChannel(STDOUT, Buffer.from(stdout, 'base64'))
  if (typeof stderr === 'string') return onChannel(STDERR, Buffer.from(stderr, 'base64'))
  if (typeof exitCode === 'number') return statusMessage(statusOfExit(exitCode))
  if (typeof failure === 'string') return statusMessage(failed('InternalError', failure, 500))
  throw new Error('a line of output is of no known kind')
}

function onChannel(channel: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.of(channel), content])
}

function statusMessage(status: Partial<Status>): Buffer {
  return onChannel(ERROR, Buffer.from(JSON.stringify(status)))
}

/** Source: `remotecommand.NonZeroExitCodeReason` and `ExitCodeCauseType`. */
function statusOfExit(exitCode: number): Partial<Status> {
  if (exitCode === 0) return { metadata: {}, status: 'Success' }
  const status = failed(
    'NonZeroExitCode',
    `command terminated with non-zero exit code: exit status ${exitCode}`,
    undefined,
  )
  return { ...status, details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] } }
}

function failed(reason: string, message: string, code: number | undefined): Partial<Status> {
  return { metadata: {}, status: 'Failure', reason, message, ...(code !== undefined && { code }) }
}
