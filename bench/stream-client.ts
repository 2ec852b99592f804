/** The client of `streams.ts`: it counts what comes and does no more with it, so that it costs the same in every row. */
import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { ALICE } from '../test/helpers/api.ts'

/** Where a stream is. */
export interface Way {
  port: number
  ca: string
  /** Of a WebSocket; absent for bare bytes. */
  path?: string
}

const BLOCK_BYTES = 64 * 1024
const FINAL_BINARY = 0x82

/** Milliseconds until so many bytes of the guest have come. */
export async function receive(way: Way, bytes: number): Promise<number> {
  const socket = await dial(way)
  const counter = way.path === undefined ? new ByteCounter() : new FrameCounter()
  const startedAt = performance.now()
  const done = Promise.withResolvers<void>()
  socket.on('data', (chunk: Buffer) => {
    counter.take(chunk)
    if (counter.payload >= bytes) done.resolve()
  })
  socket.once('close', () => done.reject(new Error(`closed after ${counter.payload} of ${bytes} bytes`)))
  socket.write(messageOf(way, Buffer.from(`pour ${bytes}\n`)))
  socket.resume()
  await done.promise
  const ms = performance.now() - startedAt
  socket.destroy()
  return ms
}

/** Milliseconds until the guest has taken so many bytes. */
export async function transmit(way: Way, bytes: number): Promise<number> {
  const socket = await dial(way)
  const done = Promise.withResolvers<void>()
  socket.on('data', (chunk: Buffer) => chunk.includes('taken') && done.resolve())
  socket.once('close', () => done.reject(new Error('closed before all was taken')))
  const startedAt = performance.now()
  socket.resume()
  socket.write(messageOf(way, Buffer.from(`drink ${bytes}\n`)))
  const block = messageOf(way, Buffer.alloc(BLOCK_BYTES))
  for (let sent = 0; sent < bytes; sent += BLOCK_BYTES) {
    if (!socket.write(block)) await Promise.race([once(socket, 'drain'), done.promise])
  }
  await done.promise
  const ms = performance.now() - startedAt
  socket.destroy()
  return ms
}

async function dial({ port, ca, path }: Way): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca, ALPNProtocols: ['http/1.1'] })
  await once(socket, 'secureConnect')
  socket.on('error', () => {})
  if (path === undefined) return socket
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ${ALICE.authorization}\r\n` +
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  )
  let head = Buffer.alloc(0)
  while (!head.includes('\r\n\r\n')) {
    const [chunk] = await once(socket, 'data')
    head = Buffer.concat([head, chunk])
  }
  // A listener of its own comes later, and gets all that comes after this.
  socket.pause()
  if (!head.toString('latin1').startsWith('HTTP/1.1 101 ')) throw new Error(head.toString('latin1'))
  const rest = head.subarray(head.indexOf('\r\n\r\n') + 4)
  if (rest.length > 0) socket.unshift(rest)
  return socket
}

/** What goes over the wire for bytes: of a WebSocket, a message masked with zeros. */
function messageOf({ path }: Way, bytes: Buffer): Buffer {
  if (path === undefined) return bytes
  const head = Buffer.alloc(14)
  head[0] = FINAL_BINARY
  head[1] = 0x80 | 127
  head.writeBigUInt64BE(BigInt(bytes.length), 2)
  return Buffer.concat([head, bytes])
}

class ByteCounter {
  payload = 0

  take({ length }: Buffer): void {
    this.payload += length
  }
}

/** Counts what is in the messages of a server. */
class FrameCounter {
  payload = 0
  #left = 0
  #head = Buffer.alloc(0)

  take(chunk: Buffer): void {
    let rest = chunk
    while (rest.length > 0) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, rest.length)
        this.#left -= taken
        this.payload += taken
        rest = rest.subarray(taken)
        continue
      }
      // Heads are few and short.
      this.#head = Buffer.concat([this.#head, rest.subarray(0, 1)])
      rest = rest.subarray(1)
      this.#left = lengthIn(this.#head) ?? 0
      if (lengthIn(this.#head) !== undefined) this.#head = Buffer.alloc(0)
    }
  }
}

/** The length that a head of a frame says; `undefined` where more of it is to come. Source: RFC 6455, 5.2. */
function lengthIn(head: Buffer): number | undefined {
  const short = head[1]
  if (short === undefined) return undefined
  if (short < 126) return short
  const headBytes = short === 126 ? 4 : 10
  if (head.length < headBytes) return undefined
  return short === 126 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2))
}
