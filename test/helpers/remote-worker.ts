import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Mover } from './migration.ts'

type Calls = Omit<Mover, 'watch'>

const PROGRAM = fileURLToPath(new URL('../programs/migration-worker.ts', import.meta.url))

/** The process was killed before it had answered. */
export class WorkerKilled extends Error {
  constructor() {
    super('the worker was killed')
    this.name = 'WorkerKilled'
  }
}

/** A worker in a process of its own, which can be killed and started again. */
export class RemoteWorker implements AsyncDisposable {
  readonly #root: string
  readonly #name: string
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  #child: ChildProcess | undefined
  #lastId = 0

  constructor(root: string, name: string) {
    this.#root = root
    this.#name = name
  }

  /** Its calls; each throws `WorkerKilled` where the process is killed meanwhile. */
  readonly calls: Calls = {
    sync: (...args) => this.#call('sync', args),
    report: (...args) => this.#call('report', args),
    migrationFacts: (...args) => this.#call('migrationFacts', args),
    prepareIncoming: (...args) => this.#call('prepareIncoming', args),
    startOutgoing: (...args) => this.#call('startOutgoing', args),
    cancelMigration: (...args) => this.#call('cancelMigration', args),
    releaseMigration: (...args) => this.#call('releaseMigration', args),
    reclaimMigration: (...args) => this.#call('reclaimMigration', args),
  }

  /** Starts the process; resolves once it has adopted its guests. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [PROGRAM, this.#root, this.#name], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child = child
    const ready = Promise.withResolvers<void>()
    child.once('exit', () => {
      ready.reject(new WorkerKilled())
      for (const waiting of this.#waiting.values()) waiting.reject(new WorkerKilled())
      this.#waiting.clear()
    })
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line === 'ready') ready.resolve()
      else this.#take(line)
    })
    await ready.promise
  }

  /** Ends the process at once: it can do nothing about it. */
  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  async #call<T>(call: keyof Calls, args: unknown[]): Promise<T> {
    const child = this.#child
    if (!child?.stdin || child.exitCode !== null || child.signalCode !== null) throw new WorkerKilled()
    const id = ++this.#lastId
    const waiting = Promise.withResolvers<unknown>()
    this.#waiting.set(id, waiting)
    child.stdin.write(`${JSON.stringify({ id, call, args })}\n`)
    // What the call of that name answers.
    return (await waiting.promise) as T
  }

  #take(line: string): void {
    const { id, answer, error } = JSON.parse(line) as {
      id: number
      answer?: unknown
      error?: { code?: number; message: string }
    }
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error) waiting?.reject(Object.assign(new Error(error.message), { code: error.code }))
    else waiting?.resolve(answer)
  }
}
