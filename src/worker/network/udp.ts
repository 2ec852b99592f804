import { createSocket, type Socket } from 'node:dgram'
import { Duplex } from 'node:stream'
import { callbackify } from 'node:util'
import { datagramReader, frameDatagram } from '../../lib/datagrams.ts'
import type { DialParts, Target } from './tcp.ts'
import type { UdpListeners } from './udp-listeners.ts'

/** What a reader may be behind; more is dropped, as UDP has it. */
export const UDP_BUFFER_BYTES = 512 * 1024

/**
 * A UDP socket that is connected to a port in the guest, as a byte stream of `lib/datagrams.ts`. QEMU listens for as
 * long as one is open. Whether anything listens in the guest is not known: UDP does not say.
 *
 * Throws as `addForward`, the system's error, and the reason of `signal`.
 */
export async function dialUdp(
  target: Target,
  { machine, signal, listeners }: DialParts & { listeners: UdpListeners },
): Promise<Duplex> {
  signal.throwIfAborted()
  const { listener, release } = await listeners.acquire(machine, target)
  const socket = createSocket({
    type: 'udp4',
    recvBufferSize: UDP_BUFFER_BYTES,
    sendBufferSize: UDP_BUFFER_BYTES,
  })
  const close = async (): Promise<void> => {
    socket.close()
    await release()
  }
  try {
    await connectDatagrams(socket, listener.port, listener.address)
    signal.throwIfAborted()
    return new DatagramStream(socket, close)
  } catch (error) {
    await close()
    throw error
  }
}

/** Connects a UDP socket. Throws the system's error. */
export async function connectDatagrams(socket: Socket, port: number, address: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('error', reject)
  socket.connect(port, address, () => {
    socket.off('error', reject)
    resolve()
  })
  await promise
}

/**
 * A connected UDP socket as a byte stream of `lib/datagrams.ts`; `close` is called once it is over. Ends, both ways,
 * when its writer has: there is no half of a connection in UDP.
 */
export class DatagramStream extends Duplex {
  readonly #close: () => Promise<void>
  /** Takes apart what is written. */
  readonly #datagrams = datagramReader()

  constructor(socket: Socket, close: () => Promise<void>) {
    super({ readableHighWaterMark: UDP_BUFFER_BYTES, autoDestroy: true })
    this.#close = close
    this.#datagrams.on('data', (datagram: Buffer) => {
      // One that the system does not take is lost, as any may be.
      socket.send(datagram, () => {})
    })
    socket.on('message', (datagram) => {
      if (this.readableLength + datagram.length < UDP_BUFFER_BYTES) this.push(frameDatagram(datagram))
    })
    // An ICMP refusal: QEMU has ended, or does not listen any more.
    socket.on('error', (error) => this.destroy(error))
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#datagrams.write(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.push(null)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#datagrams.destroy()
    callbackify(this.#close)((failure) => done(error ?? failure))
  }
}
