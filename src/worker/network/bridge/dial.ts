import { createSocket } from 'node:dgram'
import { createConnection, isIPv6, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { serviceUnavailable } from '../../../lib/errors.ts'
import { errnoOf } from '../../files/errno.ts'
import { connectDatagrams, DatagramStream, UDP_BUFFER_BYTES } from '../udp.ts'

/** A port of a guest at an address of its own. */
export interface Place {
  address: string
  port: number
}

/**
 * Connects to a TCP port of the guest.
 *
 * Throws 503 where nothing in the guest listens there, and the reason of `signal`.
 */
export async function dialTcpAt({ address, port }: Place, signal: AbortSignal): Promise<Duplex> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const socket = createConnection({ host: address, port, allowHalfOpen: true })
  socket.setNoDelay(true)
  socket.once('connect', () => resolve(socket))
  socket.on('error', reject)
  const stop = (): void => reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await promise
  } catch (error) {
    socket.destroy()
    signal.throwIfAborted()
    if (errnoOf(error) === 'ECONNREFUSED')
      throw serviceUnavailable(`the guest refuses connections to TCP port ${port}: nothing listens there`)
    throw serviceUnavailable(
      `the guest cannot be reached at TCP port ${port}: ${errnoOf(error) ?? 'it failed'}`,
    )
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/**
 * A UDP socket that is connected to a port of the guest, as a byte stream of `lib/datagrams.ts`. Whether anything
 * listens in the guest is not known: UDP does not say.
 *
 * Throws the system's error, and the reason of `signal`.
 */
export async function dialUdpAt({ address, port }: Place, signal: AbortSignal): Promise<Duplex> {
  signal.throwIfAborted()
  const type = isIPv6(address) ? 'udp6' : 'udp4'
  const socket = createSocket({ type, recvBufferSize: UDP_BUFFER_BYTES, sendBufferSize: UDP_BUFFER_BYTES })
  const close = async (): Promise<void> => void socket.close()
  try {
    await connectDatagrams(socket, port, address)
    signal.throwIfAborted()
    return new DatagramStream(socket, close)
  } catch (error) {
    await close()
    throw error
  }
}
