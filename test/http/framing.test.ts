import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { WebSocket } from 'ws'
import { DATAGRAM_LIMIT, frameDatagram } from '../../src/lib/datagrams.ts'
import type { Stream } from '../../src/subresources/subresource.ts'
import { serveStreams, StreamGuest, streamOf, until } from '../helpers/stream-server.ts'

async function join(more: Partial<Stream>, protocols?: string[]) {
  const guest = new StreamGuest()
  const server = await serveStreams([streamOf(async () => guest, more)])
  const socket = server.dial('/test', protocols)
  const messages: Buffer[] = []
  socket.on('message', (data: Buffer) => messages.push(data))
  const closed = once(socket, 'close').then(([code, reason]) => ({ code, reason: String(reason) }))
  await once(socket, 'open')
  return { guest, socket, messages, closed, server }
}

describe('datagrams', () => {
  const framing = () => 'datagrams' as const
  const sizes = [0, 1, 1500, 9000, 32_768, DATAGRAM_LIMIT]

  test('each message becomes one datagram, an empty one and the largest included', async () => {
    const { guest, socket } = await join({ framing })
    const sent = sizes.map((size) => randomBytes(size))
    for (const datagram of sent) socket.send(datagram)
    const wanted = Buffer.concat(sent.map(frameDatagram))
    await until(() => guest.bytes().length === wanted.length)
    expect(guest.bytes().equals(wanted)).toBe(true)
  })

  test('each datagram becomes one message, wherever the bytes are cut', async () => {
    const { guest, messages } = await join({ framing })
    const sent = sizes.map((size) => randomBytes(size))
    const bytes = Buffer.concat(sent.map(frameDatagram))
    for (let at = 0; at < bytes.length; at += 7001) guest.push(bytes.subarray(at, at + 7001))
    await until(() => messages.length === sent.length)
    expect(messages.map((message, index) => message.equals(sent[index] ?? Buffer.of()))).toEqual(
      sent.map(() => true),
    )
  })

  test('what is too long for a datagram ends the stream with 1009', async () => {
    const { socket, closed, guest } = await join({ framing })
    socket.send(Buffer.alloc(DATAGRAM_LIMIT + 1))
    expect(await closed).toEqual({ code: 1009, reason: 'a datagram has at most 65507 bytes' })
    expect(guest.destroyed).toBe(true)
  })
})

describe('the output of a program', () => {
  const framing = () => 'exec' as const
  const lines = (...outputs: object[]) => outputs.map((output) => `${JSON.stringify(output)}\n`).join('')
  const out = (text: string) => Buffer.from(text).toString('base64')

  async function channelsOf(text: string, protocol: string) {
    const { guest, messages, closed, socket } = await join({ framing }, [protocol])
    expect(socket.protocol).toBe(protocol)
    // In pieces that end anywhere.
    for (let at = 0; at < text.length; at += 11) guest.push(text.slice(at, at + 11))
    guest.push(null)
    const end = await closed
    return { end, messages: messages.map((message) => [message[0], message.subarray(1).toString()]) }
  }

  test.each(['v5.channel.k8s.io', 'v4.channel.k8s.io'])('comes in the channels of %s', async (protocol) => {
    const text = lines(
      { stdout: out('hello\n') },
      { stderr: out('oh') },
      { stdout: out('') },
      { exitCode: 0 },
    )
    const { end, messages } = await channelsOf(text, protocol)
    expect(messages).toEqual([
      [1, 'hello\n'],
      [2, 'oh'],
      [1, ''],
      [3, '{"metadata":{},"status":"Success"}'],
    ])
    expect(end.code).toBe(1000)
  })

  test('ends with the exit code where it is not 0', async () => {
    const { messages } = await channelsOf(lines({ exitCode: 3 }), 'v5.channel.k8s.io')
    expect(JSON.parse(String(messages[0]?.[1]))).toEqual({
      metadata: {},
      status: 'Failure',
      reason: 'NonZeroExitCode',
      message: 'command terminated with non-zero exit code: exit status 3',
      details: { causes: [{ reason: 'ExitCode', message: '3' }] },
    })
  })

  test('ends with what kept it from being followed', async () => {
    const { messages } = await channelsOf(lines({ failure: 'the agent went away' }), 'v4.channel.k8s.io')
    expect(JSON.parse(String(messages[0]?.[1]))).toMatchObject({
      status: 'Failure',
      reason: 'InternalError',
      message: 'the agent went away',
    })
  })

  test('comes as lines to clients that know no channels', async () => {
    const { guest, messages, closed, socket } = await join({ framing })
    expect(socket.protocol).toBe('plain.kubevirt.io')
    const text = lines({ stdout: out('hello') }, { exitCode: 0 })
    guest.push(text)
    guest.push(null)
    await closed
    expect(Buffer.concat(messages).toString()).toBe(text)
  })

  test.each([
    ['is no JSON', 'hello\n'],
    ['is of no known kind', '{}\n'],
    ['has no end', 'x'.repeat(2 * 1024 * 1024)],
  ])('ends the stream with 1011 where a line %s', async (_what, text) => {
    const { guest, closed } = await join({ framing }, ['v5.channel.k8s.io'])
    guest.push(text)
    expect((await closed).code).toBe(1011)
  })

  test('takes nothing from the client', async () => {
    const { guest, socket } = await join({ framing }, ['v5.channel.k8s.io'])
    socket.send(Buffer.of(0, 65))
    socket.send(Buffer.of(255, 0))
    await sleep(50)
    expect(guest.bytes().length).toBe(0)
  })

  test('channels are not spoken on other streams', async () => {
    const { socket } = await join({}, ['v5.channel.k8s.io', 'plain.kubevirt.io'])
    expect(socket.protocol).toBe('plain.kubevirt.io')
  })
})

/** Sends every 100 ms, for longer than a silent client would be waited for. */
async function keepSending(socket: WebSocket, times: number): Promise<Buffer> {
  const sent: Buffer[] = []
  for (let time = 0; time < times; time += 1) {
    const chunk = randomBytes(1000)
    sent.push(chunk)
    socket.send(chunk)
    await sleep(100)
  }
  return Buffer.concat(sent)
}

describe('the ends of a connection', () => {
  test('a guest that has sent all it had still gets all that the client sends', async () => {
    const { guest, socket, messages, closed } = await join({ halfClose: true })
    const sending = keepSending(socket, 12)
    guest.push('all I have')
    guest.push(null)
    const sent = await sending
    expect(await closed).toMatchObject({ code: 1000 })
    await until(() => guest.destroyed)
    expect(guest.bytes().equals(sent)).toBe(true)
    expect(guest.hasEnded).toBe(true)
    expect(Buffer.concat(messages).toString()).toBe('all I have')
  })

  test('a client that is silent is told soon that the guest has sent all it had', async () => {
    const { guest, closed } = await join({ halfClose: true })
    const startedAt = Date.now()
    guest.push('bye')
    guest.push(null)
    expect(await closed).toMatchObject({ code: 1000 })
    expect(Date.now() - startedAt).toBeLessThan(3000)
  })

  test('where only the whole stream can end, it does when the guest is done', async () => {
    const { guest, socket, closed } = await join({})
    const sending = keepSending(socket, 3)
    guest.push(null)
    expect(await closed).toMatchObject({ code: 1000 })
    await sending
  })

  test('all that a client sent before its Close reaches a guest that is slow to take it', async () => {
    const { guest, socket, closed } = await join({ halfClose: true })
    const write = guest._write.bind(guest)
    guest._write = (chunk, encoding, done) => void sleep(5).then(() => write(chunk, encoding, done))
    const sent = randomBytes(600_000)
    for (let at = 0; at < sent.length; at += 20_000) socket.send(sent.subarray(at, at + 20_000))
    socket.close(1000)
    await closed
    await until(() => guest.destroyed)
    expect(guest.bytes().equals(sent)).toBe(true)
    expect(guest.hasEnded).toBe(true)
  })
})
