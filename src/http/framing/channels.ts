/**
 * The channels in which Kubernetes clients read what a program says: the first byte of each message tells which.
 * Source: `v4.channel.k8s.io` and `v5.channel.k8s.io` in `k8s.io/apimachinery/pkg/util/remotecommand`.
 */
import { Transform } from 'node:stream'
import type { Status } from '../../lib/errors.ts'
import { isRecord } from '../../lib/json.ts'
import type { ExecOutput } from '../../rpc/actions.ts'

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

/** What came of a program; nothing while it runs, and where it was left before its end. */
export interface ExecOutcome {
  exitCode?: number
  /** Why it could not be followed to its end. */
  failure?: string
}

/** The output of one program, on its way to one client. */
export interface ExecFormat {
  /** Takes lines of `ExecOutput`. Fails where one is none, or is longer than 1 MiB. */
  open(): Transform
  outcome(): ExecOutcome
}

/** Turns each line into a message of its channel. */
export function asChannels(): ExecFormat {
  return formatOf((output) => messageOf(output), true)
}

/** Leaves the lines as they are. */
export function asLines(): ExecFormat {
  return formatOf((_output, line) => Buffer.from(`${line}\n`), false)
}

function formatOf(write: (output: ExecOutput, line: string) => Buffer, isObjects: boolean): ExecFormat {
  const outcome: ExecOutcome = {}
  const take = (line: string): Buffer => {
    const output = parseOutput(line)
    if ('exitCode' in output) outcome.exitCode = output.exitCode
    if ('failure' in output) outcome.failure = output.failure
    return write(output, line)
  }
  return { open: () => lineTransform(take, isObjects), outcome: () => outcome }
}

function lineTransform(take: (line: string) => Buffer, isObjects: boolean): Transform {
  const kept: Buffer[] = []
  let keptBytes = 0
  return new Transform({
    ...(isObjects && { readableObjectMode: true, readableHighWaterMark: 1 }),
    transform(chunk: Buffer, _encoding, done) {
      let rest = chunk
      try {
        for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
          const line = Buffer.concat([...kept.splice(0), rest.subarray(0, end)])
          keptBytes = 0
          rest = rest.subarray(end + 1)
          if (line.length > 0) this.push(take(line.toString('utf8')))
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
function parseOutput(line: string): ExecOutput {
  const output: unknown = JSON.parse(line)
  if (!isRecord(output)) throw new Error('a line of output is no object')
  const { stdout, stderr, exitCode, failure } = output
  if (typeof stdout === 'string') return { stdout }
  if (typeof stderr === 'string') return { stderr }
  if (typeof exitCode === 'number') return { exitCode }
  if (typeof failure === 'string') return { failure }
  throw new Error('a line of output is of no known kind')
}

function messageOf(output: ExecOutput): Buffer {
  if ('stdout' in output) return onChannel(STDOUT, Buffer.from(output.stdout, 'base64'))
  if ('stderr' in output) return onChannel(STDERR, Buffer.from(output.stderr, 'base64'))
  if ('exitCode' in output) return statusMessage(statusOfExit(output.exitCode))
  return statusMessage(failed('InternalError', output.failure, 500))
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
