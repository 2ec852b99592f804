import { createConnection, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Clock, wait } from '../../lib/clock.ts'
import { serviceUnavailable, timeout } from '../../lib/errors.ts'
import { addForward, type Listener, type Monitor, readUserNets, removeForward } from './user-net.ts'

/** Where a connection is to lead. */
export interface Target {
  /** Id of the user-mode network. */
  network: string
  port: number
}

/** What dialling takes. */
export interface DialParts {
  machine: Monitor
  clock: Clock
  signal: AbortSignal
}

/** Source: contract 4.7, PF-4. */
export const DIAL_MS = 10_000
const FIRST_LOOK_MS = 1
const LAST_LOOK_MS = 25
/** Of a connection that the guest has not answered yet. */
const UNANSWERED = ['SYN_SENT', 'SYN_RECEIVED', 'CLOSED', 'NONE']

/**
 * Connects to a TCP port in the guest; answers once the guest has accepted. QEMU listens only until it has taken the
 * connection, some milliseconds; the connection stays.
 *
 * Throws 503 where nothing in the guest listens there, 504 where it does not answer within 10 s, as `addForward`, and
 * the reason of `signal`.
 */
export async function dialTcp({ network, port }: Target, parts: DialParts): Promise<Duplex> {
  const { machine, signal } = parts
  signal.throwIfAborted()
  const listener = await addForward(machine, network, 'tcp', port)
  const socket = createConnection({ host: listener.address, port: listener.port, allowHalfOpen: true })
  socket.setNoDelay(true).on('error', () => {})
  const stop = (): void => void socket.destroy()
  signal.addEventListener('abort', stop, { once: true })
  let isListening = true
  const stopListening = async (): Promise<void> => {
    if (isListening) await removeForward(machine, network, listener)
    isListening = false
  }
  try {
    await accepted(socket, listener, port, parts, stopListening)
    signal.throwIfAborted()
    return socket
  } catch (error) {
    socket.destroy()
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
    await stopListening()
  }
}

/** QEMU itself accepts at once, whatever the guest does: how the guest answers stands in QEMU's table alone. */
async function accepted(
  socket: Socket,
  { address, port }: Listener,
  guestPort: number,
  { machine, clock, signal }: DialParts,
  stopListening: () => Promise<void>,
): Promise<void> {
  const endMs = clock.now() + DIAL_MS
  using first = firstRead(socket)
  let lookMs = FIRST_LOOK_MS
  let isTaken = false
  while (!signal.aborted && clock.now() < endMs) {
    const { rows } = await readUserNets(machine)
    const row = rows.find(
      (one) => one.state !== 'HOST_FORWARD' && one.address === address && one.port === port,
    )
    if (row && !isTaken) {
      isTaken = true
      await stopListening()
    }
    if (row && !UNANSWERED.includes(row.state)) return
    // A guest may have answered between two looks.
    if (first.came && socket.readableLength > 0) return
    if (socket.destroyed || first.came || (!row && isTaken)) throw refused(guestPort)
    await wait(clock, lookMs, signal)
    lookMs = Math.min(lookMs * 2, LAST_LOOK_MS)
  }
  throw timeout(`the guest does not answer at TCP port ${guestPort} within ${DIAL_MS / 1000} s`)
}

/** Tells of the first bytes, or of the end, without taking anything from the socket. */
function firstRead(socket: Socket): Disposable & { came: boolean } {
  const onReadable = (): void => void (first.came = true)
  const first = { came: false, [Symbol.dispose]: () => void socket.off('readable', onReadable) }
  socket.once('readable', onReadable)
  return first
}

function refused(port: number): Error {
  return serviceUnavailable(`the guest refuses connections to TCP port ${port}: nothing listens there`)
}
