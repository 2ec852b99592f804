import { randomBytes } from 'node:crypto'
import type { Clock } from '../../../lib/clock.ts'
import { wait } from '../../../lib/clock.ts'
import { badRequest, tooManyRequests } from '../../../lib/errors.ts'
import { StreamEnded } from '../../../lib/stream-end.ts'
import type { Log } from '../../../lib/log.ts'
import { AgentError } from '../../../qemu/qga/agent.ts'
import type { ExecOptions } from '../../../rpc/actions.ts'
import { UntrustedSocket } from '../../files/pin.ts'
import type { GuestRecord } from '../../guest/record.ts'
import { isMigrating } from '../ask.ts'
import { ExecFailed, followProgram, type Program } from './follow.ts'
import { ExecStream } from './exec-stream.ts'
import { END, PREPARE, RUN } from './scripts.ts'
import { converse, type ExecMachine, start, statusOf, type Talk } from './talk.ts'

/** What running programs in a guest takes. */
export interface ExecsParts {
  record: GuestRecord
  clock: Clock
  log: Log
}

const AT_ONCE = 4
const RETRY_SECONDS = 5
const COMMAND_LIMIT = 32 * 1024
const NAME_BYTES = 16
const PREPARE_MS = 10_000
const POLL_MS = 50
/** Where `PREPARE` makes folders: what an agent claims to have made elsewhere is not believed. */
const FOLDER = /^\/(run|tmp|var\/tmp)\/\.virtgate-[0-9a-f]{32}$/
const SHELL = '/bin/sh'
const WINDOWS = 'mswindows'
const END_TRIES = 3
const END_RETRY_MS = 2_000

/** It has run for as long as it may. */
class TimeUp extends Error {
  override readonly name = 'TimeUp'
}

/** The programs that are run in one guest through its agent. */
export class Execs {
  readonly #parts: ExecsParts
  readonly #active = new Set<ExecStream>()
  readonly #folders = new Set<string>()

  constructor(parts: ExecsParts) {
    this.#parts = parts
  }

  /**
   * Starts a program, and answers the stream of what comes of it. When nobody reads that any more, the program is ended.
   *
   * Throws 400 for a command that cannot be run, 429 where too many run already, and as `Talk`.
   */
  async run(machine: ExecMachine, { command, timeoutSeconds }: ExecOptions): Promise<ExecStream> {
    checkCommand(command)
    if (this.#active.size >= AT_ONCE)
      throw tooManyRequests(`${AT_ONCE} programs run in this guest already`, RETRY_SECONDS)
    const stream = new ExecStream()
    this.#active.add(stream)
    stream.once('close', () => this.#active.delete(stream))
    try {
      const program = await this.#start(machine, command)
      void this.#see(program, { machine, stream, timeoutSeconds })
      return stream
    } catch (error) {
      stream.destroy()
      throw error
    }
  }

  /** Ends all streams: this process is about to end. */
  drain(): void {
    for (const stream of this.#active) stream.destroy(new StreamEnded('draining'))
  }

  /** Ends what an earlier worker has left running in the guest. Throws as `Talk`. */
  async sweep(machine: ExecMachine): Promise<void> {
    for (const folder of this.#parts.record.state.execs ?? []) {
      if (!this.#folders.has(folder)) await this.#end(machine, folder)
    }
  }

  async #start(machine: ExecMachine, command: readonly string[]): Promise<Program> {
    const folder = await converse(machine, (talk) => this.#prepare(talk))
    if (folder === undefined) {
      return { pid: await converse(machine, (talk) => start(talk, command, { capture: true })) }
    }
    this.#folders.add(folder)
    try {
      // Before it runs: a worker that comes after a crash has to end it.
      await this.#remember(folder)
      const argv = [SHELL, '-c', RUN, 'sh', folder, ...command]
      return { folder, pid: await converse(machine, (talk) => start(talk, argv, { capture: false })) }
    } catch (error) {
      await this.#end(machine, folder).catch(() => {})
      throw error
    }
  }

  /** A folder for output; `undefined` where the guest has no shell, or not what it takes. */
  async #prepare(talk: Talk): Promise<string | undefined> {
    if (this.#parts.record.state.agent?.os.id === WINDOWS) return undefined
    const name = `.virtgate-${randomBytes(NAME_BYTES).toString('hex')}`
    let pid
    try {
      pid = await start(talk, [SHELL, '-c', PREPARE, 'sh', name], { capture: true })
    } catch (error) {
      // Where the agent runs nothing at all, it says so again.
      if (error instanceof AgentError && error.refused) return undefined
      throw error
    }
    const { clock } = this.#parts
    const limit = AbortSignal.timeout(PREPARE_MS)
    for (;;) {
      const status = await statusOf(talk, pid)
      if (!status.exited) {
        await wait(clock, POLL_MS, limit)
        if (limit.aborted) throw new AgentError('guest-exec', 'a shell does not end in time')
        continue
      }
      const folder = status.out.toString('utf8').trim()
      return status.code === 0 && FOLDER.test(folder) ? folder : undefined
    }
  }

  /** Sees to a program until it ends, or nobody wants it any more. Never throws. */
  async #see(
    program: Program,
    { machine, stream, timeoutSeconds }: { machine: ExecMachine; stream: ExecStream; timeoutSeconds: number },
  ): Promise<void> {
    const { clock, record, log } = this.#parts
    const limit = new AbortController()
    using _timer =
      timeoutSeconds > 0 ? clock.after(timeoutSeconds * 1000, () => limit.abort(new TimeUp())) : undefined
    const signal = AbortSignal.any([stream.gone, limit.signal])
    const isStill = (): boolean => {
      const { pausedBy, frozen, agent } = record.state
      return (
        pausedBy !== undefined || frozen !== undefined || agent?.frozen === true || isMigrating(record.state)
      )
    }
    let failure: string
    try {
      const exitCode = await followProgram(program, { machine, stream, clock, signal, isStill })
      stream.finish({ exitCode })
      await this.#endOrLeave(machine, program)
      return
    } catch (error) {
      failure = this.#reasonOf(error, timeoutSeconds)
      if (!signal.aborted && !(error instanceof ExecFailed))
        log.error({ err: error, vmi: record.state.guest }, 'cannot follow a program in a guest')
    }
    await this.#endOrLeave(machine, program)
    // Only now: nothing of it runs any more when its user is told so.
    stream.finish({ failure })
  }

  #reasonOf(error: unknown, timeoutSeconds: number): string {
    if (error instanceof TimeUp) return `it was ended: it has run for longer than ${timeoutSeconds} s`
    if (error instanceof ExecFailed) return error.message
    return 'it cannot be followed any more; the log of the node says why'
  }

  async #endOrLeave(machine: ExecMachine, program: Program): Promise<void> {
    const { log, clock, record } = this.#parts
    const never = new AbortController().signal
    for (let tries = 1; ; tries += 1) {
      try {
        if (program.folder === undefined) await this.#kill(machine, program)
        else await this.#end(machine, program.folder)
        return
      } catch (error) {
        const isGone = machine.ended || !(error instanceof AgentError || error instanceof UntrustedSocket)
        if (tries < END_TRIES && !isGone) {
          await wait(clock, END_RETRY_MS, never)
          continue
        }
        log.info({ err: error, vmi: record.state.guest }, 'a program in a guest is left for later')
        if (program.folder !== undefined) this.#folders.delete(program.folder)
        return
      }
    }
  }

  /** Ends a program that runs by itself. One that has ended is not known any more, and that is well. */
  async #kill(machine: ExecMachine, { pid }: Program): Promise<void> {
    const isWindows = this.#parts.record.state.agent?.os.id === WINDOWS
    const command = isWindows ? ['taskkill', '/F', '/T', '/PID'] : ['kill', '-9']
    await converse(machine, async (talk) => {
      if (!(await statusOf(talk, pid)).exited)
        await start(talk, [...command, String(pid)], { capture: false })
    }).catch((error: unknown) => {
      if (!(error instanceof AgentError && error.refused)) throw error
    })
  }

  /** Ends a program with all that belongs to it, and removes its folder. */
  async #end(machine: ExecMachine, folder: string): Promise<void> {
    await converse(machine, async (talk) => {
      const pid = await start(talk, [SHELL, '-c', END, 'sh', folder], { capture: false })
      const limit = AbortSignal.timeout(PREPARE_MS)
      while (!(await statusOf(talk, pid)).exited && !limit.aborted)
        await wait(this.#parts.clock, POLL_MS, limit)
    })
    this.#folders.delete(folder)
    const { record } = this.#parts
    const left = record.state.execs?.filter((each) => each !== folder) ?? []
    await record.keep({ execs: left.length > 0 ? left : undefined })
  }

  async #remember(folder: string): Promise<void> {
    const { record } = this.#parts
    await record.keep({ execs: [...(record.state.execs ?? []), folder] })
  }
}

function checkCommand(command: readonly string[]): void {
  if (!command[0]) throw badRequest('the command is empty: name a program')
  if (command.some((word) => word.includes('\0'))) throw badRequest('the command has a NUL character in it')
  const bytes = command.reduce((sum, word) => sum + Buffer.byteLength(word), 0)
  if (bytes > COMMAND_LIMIT) throw badRequest(`the command is longer than ${COMMAND_LIMIT} bytes`)
}
