import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { type Clock, wait } from '../../lib/clock.ts'
import { serviceUnavailable, timeout } from '../../lib/errors.ts'
import { errnoOf } from '../files/errno.ts'

/** Where a vsock connection leads, and by what. */
export interface VsockTarget {
  /** Of the guest, from the worker's own records. */
  cid: number
  port: number
  tls: boolean
  /** Name or path of `socat`: Node.js has no sockets of this family. */
  socat: string
  clock: Clock
  signal: AbortSignal
}

const DIAL_MS = 10_000
const CONNECTED = /starting data transfer loop/
const SAID_BYTES = 4096

/**
 * Connects to a vsock port in the guest; answers once it has accepted, and, with TLS, once that is agreed on. TLS 1.3
 * hides what is said from whoever is between, and proves neither side to the other: the guest's certificate is not
 * checked, as nobody could say by what, and we show none (contract VS-3, security C7).
 *
 * Throws 503 where the guest refuses or the node has no `socat`, 504 where it does not answer within 10 s, the reason of
 * `signal`.
 */
export async function dialVsock(target: VsockTarget): Promise<Duplex> {
  const { port, clock, signal, tls } = target
  const over = new AbortController()
  const limit = new AbortController()
  const waiting = wait(clock, DIAL_MS, over.signal).then(() => limit.abort())
  const ending = AbortSignal.any([signal, limit.signal])
  try {
    const stream = await connect(target, ending)
    return tls ? await agree(stream, port, ending) : stream
  } catch (error) {
    signal.throwIfAborted()
    if (limit.signal.aborted)
      throw timeout(`the guest does not answer at vsock port ${port} within ${DIAL_MS / 1000} s`)
    throw error
  } finally {
    over.abort()
    await waiting
  }
}

async function connect({ socat, cid, port }: VsockTarget, signal: AbortSignal): Promise<Socket> {
  // With two -d it says when it is connected. After one side's end the other may go on for so long.
  const args = ['-d', '-d', '-t', '10', 'FD:3', `VSOCK-CONNECT:${cid}:${port}`]
  const child = spawn(socat, args, {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
  })
  // What Node.js calls a pipe is a pair of sockets.
  const stream = child.stdio[3] as Socket
  stream.on('error', () => {})
  stream.once('close', () => void child.kill('SIGKILL'))
  try {
    await connected(child, port, signal)
    return stream
  } catch (error) {
    stream.destroy()
    child.kill('SIGKILL')
    throw error
  }
}

async function connected(child: ChildProcess, port: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let said = ''
  child.stderr?.setEncoding('latin1').on('data', (text: string) => {
    // What it says later is of no use, and read all the same: the pipe would fill.
    if (said.length > SAID_BYTES) return
    said += text
    if (CONNECTED.test(said)) resolve()
  })
  child.once('error', (error) => {
    if (errnoOf(error) !== 'ENOENT') reject(error)
    else reject(serviceUnavailable('this node cannot connect to vsock: install socat there'))
  })
  child.once('close', () => {
    const why = /connect\([^)]*\): (.*)/.exec(said)?.[1] ?? 'it ended the connection'
    reject(serviceUnavailable(`the guest does not take connections to vsock port ${port}: ${why}`))
  })
  const stop = (): void => reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    signal.throwIfAborted()
    await promise
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

async function agree(stream: Socket, port: number, signal: AbortSignal): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connectTls({ socket: stream, minVersion: 'TLSv1.3', rejectUnauthorized: false })
  socket.once('secureConnect', resolve)
  socket.once('error', (error) =>
    reject(serviceUnavailable(`the guest does not speak TLS 1.3 at vsock port ${port}: ${error.message}`)),
  )
  socket.once('close', () =>
    reject(
      serviceUnavailable(`the guest ended the connection to vsock port ${port} before TLS was agreed on`),
    ),
  )
  socket.on('close', () => stream.destroy())
  const stop = (): void => reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    await promise
    return socket
  } catch (error) {
    socket.destroy()
    stream.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
