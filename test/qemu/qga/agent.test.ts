import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AgentError, askAgent, shutDownByAgent } from '../../../src/qemu/qga/agent.ts'

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
