import { createConnection, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { QmpClosed } from './errors.ts'

const RETRY_MS = 5

/**
 * Connects to a unix socket that may not be there yet.
 *
 * Throws `QmpClosed` where it cannot be connected to, or where `alive` says that nobody will ever listen, and
 * the reason of `signal`.
 */
export async function dialMonitor(path: string, alive: () => boolean, signal: AbortSignal): Promise<Socket> {
  for (;;) {
    signal.throwIfAborted()
    try {
      return await dial(path)
    } catch (error) {
      if (!isNotThereYet(error)) throw new QmpClosed(`cannot connect to the monitor at ${path}`, error)
      if (!alive()) throw new QmpClosed('QEMU ended before its monitor was ready')
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => signal.throwIfAborted())
  }
}

function dial(path: string): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const socket = createConnection(path)
  socket.once('error', reject).once('connect', () => {
    socket.off('error', reject)
    resolve(socket)
  })
  return promise
}

/** EAGAIN: the queue of those who wait to be accepted is full. */
function isNotThereYet(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    ['ENOENT', 'ECONNREFUSED', 'EAGAIN'].includes(String(error.code))
  )
}
