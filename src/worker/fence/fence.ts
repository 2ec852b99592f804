import { spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { wait, type Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Fence } from '../../rpc/fence.ts'
import type { WorkerDirs } from '../files/paths.ts'
import { readDeadline, readSign, removeDeadline, writeDeadline } from './deadline.ts'
import { openTerm } from './term.ts'
import { readBootId, uptimeMs } from './uptime.ts'

/** What a node's fence is made from. */
export interface FenceOptions {
  dirs: WorkerDirs
  /** Without a word of a leader for so long, guests that may be started elsewhere are stopped; 0: they never are. */
  afterSeconds: number
  /** The lowest that a guest of the node was promised to be stopped after; `undefined` where none was. */
  promisedSeconds: () => number | undefined
  clock: Clock
  log: Log
}

/** Keeps former leaders from the node, and its guests from running where no leader is heard of. */
export interface NodeFence extends Fence, AsyncDisposable {
  /** Seconds after which guests are stopped; `undefined` while nobody would do it. */
  armedSeconds(): number | undefined
  /** No leader has been heard of for too long. */
  isCutOff(): boolean
}

const GUARD = new URL('./guard.ts', import.meta.url).pathname
/** Between looks at the guard. */
const LOOK_MS = 1_000
/** A guard that has not been heard of for so long is started anew. */
const SILENCE_MS = 10_000

/**
 * Opens the fence of a node. A deadline that an earlier worker has left goes on: a start is no sign of a leader. The guard
 * outlives the worker.
 */
export async function openFence(options: FenceOptions): Promise<NodeFence> {
  const { dirs } = options
  const term = await openTerm(dirs.stateDir)
  return new Guarded(options, term, await leftDeadline(dirs.stateDir))
}

async function leftDeadline(stateDir: string): Promise<number | undefined> {
  const left = await readDeadline(stateDir)
  return left?.bootId === readBootId() ? left.atMs : undefined
}

class Guarded implements NodeFence {
  readonly #options: FenceOptions
  readonly #term: Pick<Fence, 'admit'>
  readonly #bootId = readBootId()
  readonly #closing = new AbortController()
  readonly #watching: Promise<void>
  #deadlineMs: number | undefined
  #writing: Promise<void> = Promise.resolve()
  #guardSeenMs = Number.NEGATIVE_INFINITY

  constructor(options: FenceOptions, term: Pick<Fence, 'admit'>, deadlineMs: number | undefined) {
    this.#options = options
    this.#term = term
    this.#deadlineMs = deadlineMs
    this.#watching = this.#watchGuard()
  }

  /**
   * Counts from when the proof was given out, not from when it came back: a leader that was stopped in between has proved no
   * more than that it led some time after it had got it.
   */
  async admit(epoch: number, proof?: string): Promise<void> {
    await this.#term.admit(epoch)
    const [bootId, text] = proof?.split(' ') ?? []
    const givenMs = Number(text)
    if (bootId !== this.#bootId || !Number.isSafeInteger(givenMs) || givenMs > uptimeMs()) return
    const seconds = this.#seconds()
    const atMs = seconds === undefined ? undefined : givenMs + seconds * 1000
    if (atMs !== undefined && atMs <= (this.#deadlineMs ?? 0)) return
    this.#deadlineMs = atMs
    this.#writing = this.#writing.then(() => this.#keep())
    await this.#writing
  }

  proof(): string {
    return `${this.#bootId} ${uptimeMs()}`
  }

  /** What was promised holds, also where the worker was started with another time since. */
  #seconds(): number | undefined {
    const { afterSeconds, promisedSeconds } = this.#options
    const promised = promisedSeconds()
    return afterSeconds === 0 ? promised : Math.min(afterSeconds, promised ?? afterSeconds)
  }

  armedSeconds(): number | undefined {
    const isGuarded = uptimeMs() - this.#guardSeenMs < SILENCE_MS
    return isGuarded && this.#deadlineMs !== undefined ? this.#options.afterSeconds || undefined : undefined
  }

  isCutOff(): boolean {
    return this.#deadlineMs !== undefined && uptimeMs() >= this.#deadlineMs
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#watching
    await this.#writing
  }

  async #keep(): Promise<void> {
    const { dirs, log } = this.#options
    try {
      if (this.#deadlineMs === undefined) await removeDeadline(dirs.stateDir)
      else await writeDeadline(dirs.stateDir, { bootId: this.#bootId, atMs: this.#deadlineMs })
    } catch (error) {
      // The guard goes by the one before, which is earlier.
      log.error({ err: error }, 'the deadline of guests cannot be written down')
    }
  }

  /** Sees to it that a guard of our version is there, once there is something to guard. */
  async #watchGuard(): Promise<void> {
    const { clock, log, dirs } = this.#options
    const { signal } = this.#closing
    let startedMs = Number.NEGATIVE_INFINITY
    while (!signal.aborted) {
      try {
        const sign = this.#deadlineMs === undefined ? undefined : await readSign(dirs.stateDir)
        if (sign?.bootId === this.#bootId) this.#guardSeenMs = sign.atMs
        const isSilent = uptimeMs() - this.#guardSeenMs >= SILENCE_MS
        const isDue = this.#deadlineMs !== undefined && uptimeMs() - startedMs >= SILENCE_MS
        if (isSilent && isDue) {
          startedMs = uptimeMs()
          await startGuard(dirs)
        }
      } catch (error) {
        log.error({ err: error }, 'the guard of guests cannot be looked at')
      }
      await wait(clock, LOOK_MS, signal)
    }
  }
}

async function startGuard({ stateDir, runDir }: WorkerDirs): Promise<void> {
  await using log = await open(join(stateDir, 'guard.log'), 'a', 0o600)
  const child = spawn(process.execPath, [GUARD, stateDir, runDir], {
    detached: true,
    cwd: '/',
    stdio: ['ignore', 'ignore', log.fd],
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.once('spawn', resolve).once('error', reject)
  await promise
  child.unref()
}
