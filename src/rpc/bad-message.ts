/** Why nobody can believe what a worker has said: it is no message that we know the form of, or longer than any may be. */
export type MessageFault = 'malformed' | 'too_long'

/** A message of a worker that was dropped. */
export class BadMessage extends Error {
  readonly fault: MessageFault

  constructor(fault: MessageFault, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'BadMessage'
    this.fault = fault
  }
}

/** What was wrong with the message that led to `error`; `undefined` where no message did. */
export function messageFault(error: unknown): MessageFault | undefined {
  if (error instanceof BadMessage) return error.fault
  return error instanceof Error ? messageFault(error.cause) : undefined
}
