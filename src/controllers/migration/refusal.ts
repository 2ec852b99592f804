import { StatusError } from '../../lib/errors.ts'

/** What a failure begins with. Source: contract worker-qemu 5.6. */
type FailureWord =
  | 'aborted'
  | 'timeout'
  | 'no-progress'
  | 'target-unreachable'
  | 'tls'
  | 'incompatible-target'
  | 'storage'
  | 'internal'

const WORDS =
  /\b(?:aborted|timeout|no-progress|target-unreachable|tls|incompatible-target|storage|internal): /

/** Whether a node has said no for good: asking again would not help. */
export function isRefusal(error: unknown): error is StatusError {
  return error instanceof StatusError && error.code >= 400 && error.code < 500 && error.code !== 429
}

/** What a node has refused, as the reason of a failure: in its own words where it has named one. */
export function failureOf({ message }: StatusError, otherwise: FailureWord): string {
  const own = WORDS.exec(message)
  return own ? message.slice(own.index) : `${otherwise}: ${message}`
}
