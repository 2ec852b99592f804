import { GuestConfigError } from '../../qemu/argv/error.ts'
import { scrubPaths } from '../../qemu/log.ts'
import { errnoOf } from '../files/errno.ts'
import { ImageError } from '../images/error.ts'

/**
 * Whether trying again may help: `never`, since only another spec would; `few` times, since it may have been
 * chance; `always`, since the host or a registry may get what is missing.
 */
export type Retry = 'never' | 'few' | 'always'

/** Why a guest does not start. Source: contract 1.11. */
export class GuestFailure extends Error {
  /** Reason of the condition `Synchronized`. */
  readonly reason: string
  readonly retry: Retry

  constructor(reason: string, retry: Retry, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'GuestFailure'
    this.reason = reason
    this.retry = retry
  }
}

/** What QEMU says when the host, and not the spec, is to blame. */
const HOST_TROUBLE: [RegExp, string][] = [
  [/Failed to get .*lock/, 'StorageNotReady'],
  [/[Cc]annot allocate memory|unable to map backing store/, 'HostResourceMissing'],
  [/failed to open vhost device|failed to find host usb device|no such host device/, 'HostResourceMissing'],
  [/No space left on device/, 'HostResourceMissing'],
]

/** QEMU ended before its guest could run; `said` is its last message. */
export function startFailed(said: string, cause?: unknown): GuestFailure {
  const [, reason] = HOST_TROUBLE.find(([pattern]) => pattern.test(said)) ?? []
  const message = `QEMU did not start: ${said || 'it said nothing'}`
  return new GuestFailure(reason ?? 'StartFailed', reason ? 'always' : 'few', message, cause)
}

/** The class of whatever was thrown while a guest was prepared and started. */
export function classify(error: unknown): GuestFailure {
  if (error instanceof GuestFailure) return error
  if (error instanceof GuestConfigError) {
    const retry = error.reason === 'HostResourceMissing' ? 'always' : 'never'
    return new GuestFailure(error.reason, retry, error.message, error)
  }
  if (error instanceof ImageError) {
    return new GuestFailure(error.reason, error.retriable ? 'always' : 'never', error.message, error)
  }
  const text = scrubPaths(error instanceof Error ? error.message : String(error))
  if (errnoOf(error) !== undefined) return new GuestFailure('HostResourceMissing', 'always', text, error)
  return new GuestFailure('StartFailed', 'few', text, error)
}
