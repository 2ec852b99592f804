import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AgentError, AgentSession, askAgent, shutDownByAgent } from '../../../src/qemu/qga/agent.ts'

interface Command {
  execute: string
  arguments?: { id?: number; mode?: string }
}

let folder: string
let path: string
let server: Server | undefined
let asked: Command[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virtgate-qga-'))
  path = join(folder, 'qga')
  asked = []
})
afterEach(async () => {
  server?.close()
  await rm(folder, { recursive: true })
})

/** An agent that answers the synchronisation, after `before`, and leaves the rest to `answer`. */
async function listen(
  answer: (socket: Socket, command: Command) => void,
  before: Buffer = Buffer.alloc(0),
): Promise<void> {
  server = createServer((socket) => {
    socket.on('error', () => {})
    let text = ''
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        const command = JSON.parse(line.replace(/^[^{]*/, '')) as Command
        asked.push(command)
        if (command.execute !== 'guest-sync-delimited') answer(socket, command)
        else
          socket.write(
            Buffer.concat([
              before,
              Buffer.from([0xff]),
              Buffer.from(`{"return": ${command.arguments?.id}}\n`),
            ]),
          )
      }
    })
  }).listen(path)
  await once(server, 'listening')
}

test('answers what the agent returns, past answers to questions that others gave up', async () => {
  const stale = Buffer.from('{"return": "old"}\n{"retu')
  await listen((socket) => void socket.write('{"return": {"big": 9223372036854775807}}\n'), stale)
  expect(await askAgent(path, 'guest-info')).toEqual({ big: 9223372036854775807n })
})

test('an agent that refuses is told from one that is silent', async () => {
  await listen((socket, { execute }) => {
    if (execute === 'guest-no') socket.write('{"error": {"class": "GenericError", "desc": "not here"}}\n')
  })
  await expect(askAgent(path, 'guest-no')).rejects.toMatchObject({
    name: 'AgentError',
    refused: true,
    message: /not here/,
  })
  await expect(askAgent(path, 'guest-void', {}, { timeoutMs: 50 })).rejects.toMatchObject({ refused: false })
})

test.each([
  ['no JSON', 'hello\n', 'no JSON'],
  ['no object', '[1]\n', 'no JSON object'],
  ['a line without end', 'x'.repeat(3 * 1024 * 1024), 'over 1048576 bytes'],
  ['a nest', `${'['.repeat(100_000)}\n`, 'nested more than 16'],
  ['a nest of objects', `{"return":${'{"a":'.repeat(20)}1${'}'.repeat(21)}\n`, 'nested more than 16'],
  ['no UTF-8', Buffer.from([0x7b, 0xfe, 0xfe, 0x0a]), 'no JSON'],
])('what a guest makes of the protocol does no harm: %s', async (_what, text, message) => {
  await listen((socket) => void socket.write(text))
  await expect(askAgent(path, 'guest-info')).rejects.toThrow(message)
})

test('an agent that is not there, or leaves, is an AgentError; a signal ends the waiting', async () => {
  await expect(askAgent(path, 'guest-ping')).rejects.toThrow(AgentError)
  await listen((socket, { execute }) => void (execute === 'guest-bye' && socket.destroy()))
  await expect(askAgent(path, 'guest-bye')).rejects.toThrow(AgentError)
  const signal = AbortSignal.timeout(50)
  await expect(askAgent(path, 'guest-void', {}, { signal })).rejects.toThrow('timeout')
})

test('a shutdown is taken for granted when it is not refused', async () => {
  await listen((socket, { arguments: args }) => {
    if (args?.mode === 'powerdown')
      socket.write('{"error": {"class": "GenericError", "desc": "no shutdown program"}}\n')
  })
  await shutDownByAgent(path, 'reboot')
  expect(asked.at(-1)).toEqual({ execute: 'guest-shutdown', arguments: { mode: 'reboot' } })
  await expect(shutDownByAgent(path, 'powerdown')).rejects.toThrow('no shutdown program')
})

test('a flood before the mark ends, without being kept', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  server = createServer((socket) => {
    socket.on('error', () => {})
    const pour = (): void => {
      while (!socket.destroyed && socket.write(chunk));
      socket.once('drain', pour)
    }
    pour()
  }).listen(path)
  await once(server, 'listening')
  await expect(askAgent(path, 'guest-info')).rejects.toThrow(/nobody asked for|did not answer within/)
})

test('an answer that comes late is not taken for the answer to the next question', async () => {
  const late = Promise.withResolvers<void>()
  await listen((socket, { execute }) => {
    if (execute === 'guest-late') void late.promise.then(() => socket.write('{"return": "late"}\n'))
    else socket.write('{"return": "right"}\n')
  })
  using agent = new AgentSession(path)
  await expect(agent.ask('guest-late', {}, { timeoutMs: 50 })).rejects.toMatchObject({ name: 'AgentSilent' })
  late.resolve()
  expect(await agent.ask('guest-info')).toBe('right')
  expect(await agent.ask('guest-info')).toBe('right')
})

test('what an agent says in a refusal is cleaned before anybody reads it', async () => {
  const desc = `no\n\u001b[2J${'x'.repeat(10_000)}`
  await listen((socket) => void socket.write(`${JSON.stringify({ error: { class: 'X', desc } })}\n`))
  const error = await askAgent(path, 'guest-info').catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ refused: true, said: expect.stringMatching(/^no\[2Jx+$/) })
  expect(String(error).length).toBeLessThan(400)
})

test('answers to others who synchronised and went come first, and are passed over', async () => {
  const marked = (text: string) => Buffer.concat([Buffer.from([0xff]), Buffer.from(text)])
  const stale = [marked('{"return": 1}\n'), marked('{"return": 2}\n')]
  server = createServer((socket) => {
    socket.on('error', () => {})
    void (async () => {
      // Each in a piece of its own: what comes at once is easily passed over.
      for (const each of stale) {
        socket.write(each)
        await sleep(20)
      }
      socket.on('data', (bytes: Buffer) => {
        for (const line of bytes.toString('latin1').split('\n').filter(Boolean)) {
          const { execute, arguments: args } = JSON.parse(line.replace(/^[^{]*/, '')) as Command
          socket.write(
            execute === 'guest-sync-delimited' ? marked(`{"return": ${args?.id}}\n`) : '{"return": "mine"}\n',
          )
        }
      })
    })()
  }).listen(path)
  await once(server, 'listening')
  expect(await askAgent(path, 'guest-info')).toBe('mine')
})

test('an agent that never keeps its answers in order is given up', async () => {
  server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', () =>
      socket.write(Buffer.concat([Buffer.from([0xff]), Buffer.from('{"return": 1}\n')])),
    )
    const timer = setInterval(
      () => socket.write(Buffer.concat([Buffer.from([0xff]), Buffer.from('{"return": 1}\n')])),
      5,
    )
    socket.on('close', () => clearInterval(timer))
  }).listen(path)
  await once(server, 'listening')
  await expect(askAgent(path, 'guest-info')).rejects.toThrow('in order')
})
