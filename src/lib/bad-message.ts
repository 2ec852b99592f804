/** Why nobody can believe what another process has said: it is in no form that we know, or longer than anything may be. */
export type MessageFault = 'malformed' | 'too_long'

/** A message that was dropped. */
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
