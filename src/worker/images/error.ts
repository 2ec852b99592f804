/**
 * Why an image cannot be had; the first two as the kubelet calls them.
 *
 * `ErrImagePull`: the registry, the network or this machine's disk got in the way.
 * `ErrImageNeverPull`: it is not here, and may not be pulled.
 * `ImageRejected`: what the reference names is not fit for a guest, and a second try changes nothing.
 */
export type ImageReason = 'ErrImagePull' | 'ErrImageNeverPull' | 'ImageRejected'

/** An image cannot be had. The message says what was tried, where, and what to do. */
export class ImageError extends Error {
  override readonly name = 'ImageError'
  readonly reason: ImageReason

  constructor(reason: ImageReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }

  /** Whether trying later may help without a change to the image or its reference. */
  get retriable(): boolean {
    return this.reason !== 'ImageRejected'
  }
}

/** The registry, the network or this machine's disk got in the way. */
export function pullFailed(message: string, cause?: unknown): ImageError {
  return new ImageError('ErrImagePull', message, cause === undefined ? undefined : { cause })
}

/** The image or its reference is not fit. */
export function rejected(message: string, cause?: unknown): ImageError {
  return new ImageError('ImageRejected', message, cause === undefined ? undefined : { cause })
}

/** What an error of the operating system or of a program says, without our own words. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Several addresses tried: Node sums them up in an error without a message.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join('; ')
  return error.message || error.name
}
