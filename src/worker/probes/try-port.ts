import type { Duplex } from 'node:stream'
import type { Clock } from '../../lib/clock.ts'
import { StatusError } from '../../lib/errors.ts'
import { printable } from '../../lib/printable.ts'
import { QmpClosed, QmpError, QmpTimeout } from '../../qemu/qmp/client.ts'
import { errnoOf } from '../files/errno.ts'
import { ForwardFailed } from '../network/user-net.ts'
import type { Handler } from './handler.ts'
import { askForPage, type Dial } from './http.ts'

/** What trying a port of a guest takes. */
export interface TryPortParts {
  /** Answers `undefined` where no address of the guest is known. */
  dial: (...args: Parameters<Dial>) => Promise<Duplex | undefined>
  timeoutSeconds: number
  clock: Clock
  signal: AbortSignal
}

const SECOND_MS = 1_000
const MESSAGE_LIMIT = 256
/** Troubles of this node, which say nothing of the guest. */
const OURS = [ForwardFailed, QmpClosed, QmpError, QmpTimeout]

/**
 * Tries a port of the guest: why that has failed, `undefined` where it has not. What goes wrong on the connection is
 * taken for the guest's failure. Throws where QEMU is in trouble, and the reason of `signal`.
 */
export async function tryPort(
  handler: Extract<Handler, { type: 'tcp' | 'http' }>,
  { dial, timeoutSeconds, clock, signal }: TryPortParts,
): Promise<string | undefined> {
  const late = new AbortController()
  using _timer = clock.after(timeoutSeconds * SECOND_MS, () => late.abort())
  const dialKnown: Dial = async (...args) => {
    const stream = await dial(...args)
    if (stream) return stream
    throw new StatusError(409, 'Conflict', 'its node knows no address of it')
  }
  try {
    return await tryOnce(handler, dialKnown, AbortSignal.any([signal, late.signal]))
  } catch (error) {
    signal.throwIfAborted()
    if (OURS.some((each) => error instanceof each)) throw error
    if (late.signal.aborted) return `it has not answered within ${timeoutSeconds} s`
    return describe(error)
  }
}

async function tryOnce(
  handler: Parameters<typeof tryPort>[0],
  dial: Dial,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (handler.type === 'http') return askForPage(handler, dial, signal)
  const stream = await dial(handler.port, signal)
  stream.destroy()
  return undefined
}

function describe(error: unknown): string {
  if (error instanceof StatusError) return error.message
  const what = errnoOf(error) ?? (error instanceof Error ? error.message : String(error))
  return `the connection has failed: ${printable(what, MESSAGE_LIMIT)}`
}
