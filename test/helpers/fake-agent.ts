import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Machine } from '../../src/worker/guest/machine.ts'
import { AgentLane } from '../../src/worker/agent/lane.ts'
import { systemClock } from '../../src/lib/clock.ts'

/** What a guest is asked. */
export interface AgentCommand {
  execute: string
  // Whatever a command takes.
  arguments?: Record<string, unknown>
}

/** What it returns; `undefined` for no answer at all, an `Error` for a refusal with its message. */
export type AgentAnswers = (command: AgentCommand, socket: Socket) => unknown

/** A guest agent at a real socket, which says what the test wants. Keeps the synchronisation by itself. */
export class FakeAgent implements AsyncDisposable {
  readonly path: string
  /** Names of the commands it got, but those that synchronise. */
  readonly asked: string[] = []
  answers: AgentAnswers
  readonly #folder: string
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #closing = new AbortController()

  private constructor(folder: string, answers: AgentAnswers) {
    this.#folder = folder
    this.path = join(folder, 'qga.sock')
    this.answers = answers
    this.#server = createServer((socket) => this.#serve(socket))
  }

  /** Listens. */
  static async open(answers: AgentAnswers): Promise<FakeAgent> {
    const agent = new FakeAgent(await mkdtemp(join(tmpdir(), 'vg-qga-')), answers)
    agent.#server.listen(agent.path)
    await once(agent.#server, 'listening')
    return agent
  }

  /** A machine whose agent this is, as far as agents matter. */
  machine(): Machine {
    const lane = new AgentLane(systemClock)
    const { signal } = this.#closing
    const machine: Partial<Machine> = {
      hasAgent: true,
      ended: false,
      agentArrivals: 0,
      resets: 0,
      withAgent: (use) => lane.run(() => use(this.path, signal)),
      withIdleAgent: (use) => lane.runIdle((idle) => use(this.path, AbortSignal.any([idle, signal]))),
      runState: async () => 'running',
    }
    // No other member is looked at by what is tested with it.
    return machine as Machine
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await rm(this.#folder, { recursive: true, force: true })
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
    let text = ''
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) this.#answer(JSON.parse(line.replace(/^[^{]*/, '')) as AgentCommand, socket)
    })
  }

  #answer(command: AgentCommand, socket: Socket): void {
    if (command.execute === 'guest-sync-delimited') {
      const reply = Buffer.from(`${JSON.stringify({ return: command.arguments?.id })}\n`)
      socket.write(Buffer.concat([Buffer.from([0xff]), reply]))
      return
    }
    this.asked.push(command.execute)
    const answer = this.answers(command, socket)
    if (answer instanceof Error)
      socket.write(`${JSON.stringify({ error: { class: 'GenericError', desc: answer.message } })}\n`)
    else if (answer !== undefined) socket.write(`${JSON.stringify({ return: answer })}\n`)
  }
}
