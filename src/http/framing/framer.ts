import type { Transform } from 'node:stream'
import { datagramReader, DATAGRAM_LIMIT, frameDatagram } from '../../lib/datagrams.ts'
import type { Framing } from '../../subresources/subresource.ts'
import { asChannels, asLines, isChannelProtocol, type ExecOutcome } from './channels.ts'

/** How the bytes of a guest's stream and the messages of a WebSocket become each other. */
export interface Framer {
  /** Turns what the guest sends into chunks of which each is one message; absent where any chunk may be one. */
  open?: () => Transform
  /** Whether each chunk has to stay one message, an empty one included. */
  hasBoundaries: boolean
  /** What the guest is to get for a message; nothing where it gets none. Throws `MessageRefused`. */
  toGuest(message: Buffer): Buffer | undefined
  /** What came of what ran, as far as it has been sent; absent where nothing is told of it. */
  outcome?: () => ExecOutcome
}

/** A message that the stream has no form for; ends it with 1009. */
export class MessageRefused extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'MessageRefused'
  }
}

const BYTES: Framer = {
  hasBoundaries: false,
  toGuest: (message) => (message.length > 0 ? message : undefined),
}

const DATAGRAMS: Framer = {
  open: datagramReader,
  hasBoundaries: true,
  toGuest(message) {
    if (message.length <= DATAGRAM_LIMIT) return frameDatagram(message)
    throw new MessageRefused(`a datagram has at most ${DATAGRAM_LIMIT} bytes`)
  },
}

/** A program in a guest is not written to: what the client sends, its standard input included, is dropped. */
function execFramer(protocol: string): Framer {
  const hasBoundaries = isChannelProtocol(protocol)
  return { ...(hasBoundaries ? asChannels() : asLines()), hasBoundaries, toGuest: () => undefined }
}

/** The framer of one stream, given the subprotocol that was agreed on; none is ''. */
export function framerOf(framing: Framing, protocol: string): Framer {
  switch (framing) {
    case 'datagrams':
      return DATAGRAMS
    case 'exec':
      return execFramer(protocol)
    default:
      return BYTES
  }
}
