/** Why a byte stream ended, where that was not simply its far end finishing. */
export type StreamEndReason =
  /** Somebody else took the session over. */
  | 'displaced'
  /** Its reader was too far behind, and what it reads does not wait. */
  | 'behind'
  /** The process that serves it is shutting down. */
  | 'draining'

/**
 * A byte stream was ended on purpose. Whoever ends it destroys the stream with this error; whoever reads it can tell
 * its user why. It crosses the wire.
 */
export class StreamEnded extends Error {
  readonly reason: StreamEndReason

  constructor(reason: StreamEndReason) {
    super(`the stream was ended: ${reason}`)
    this.name = 'StreamEnded'
    this.reason = reason
  }
}
