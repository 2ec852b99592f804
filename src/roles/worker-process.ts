import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { backoffMs } from '../lib/backoff.ts'
import { wait, type Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'

const MAIN = fileURLToPath(new URL('../virtgate.mjs', import.meta.url))
/** A worker that has run this long was no failed start. */
const STEADY_MS = 60_000
const PAUSE = { baseMs: 100, maxMs: 30_000 }

/** What a worker process says on its standard output once it listens. */
export interface WorkerReady {
  listening: number
}

/** How a worker process is run. */
export interface WorkerProcessOptions {
  node: string
  /** Arguments after `virtgate worker`. */
  args: readonly string[]
  clock: Clock
  log: Log
  /** Called each time one listens. */
  onReady: (port: number) => Promise<void>
  /** Called each time one has ended. */
  onExit: () => Promise<void>
}

/**
 * Keeps a worker process running: a new one follows one that ends, after a growing pause. Resolves once the first one
 * listens. Closing it ends the process; its guests go on running.
 */
export async function keepWorkerProcess(options: WorkerProcessOptions): Promise<AsyncDisposable> {
  const { node, clock, log } = options
  const stop = new AbortController()
  const first = Promise.withResolvers<void>()

  async function keep(): Promise<void> {
    for (let failures = 0; !stop.signal.aborted;) {
      const startedAt = clock.now()
      const end = await runOnce(options, stop.signal, first.resolve)
      if (stop.signal.aborted) return
      failures = clock.now() - startedAt > STEADY_MS ? 0 : failures + 1
      const pauseMs = backoffMs(PAUSE, Math.max(failures, 1))
      log.warn({ node, end, pauseMs }, 'worker process ended; another one follows')
      await wait(clock, pauseMs, stop.signal)
    }
  }

  const kept = keep()
  // Closed before the first one was up: whoever waits for it is let go.
  kept.then(first.resolve, first.reject)
  await first.promise
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await kept
    },
  }
}

/** Runs one process to its end; answers how that came. */
async function runOnce(
  { node, args, log, onReady, onExit }: WorkerProcessOptions,
  signal: AbortSignal,
  listens: () => void,
): Promise<string> {
  // Its standard input is a pipe that we hold: it ends itself when that closes, so none outlives us.
  const child = spawn(process.execPath, [MAIN, 'worker', '--node', node, ...args, '--exit-with-stdin'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit').catch((error: unknown) => [error])
  const end = () => child.stdin.end()
  signal.addEventListener('abort', end, { once: true })
  try {
    for await (const port of readyPorts(child)) {
      await onReady(port)
      listens()
      log.info({ node, pid: child.pid, port }, 'worker process listens')
    }
    const [code, name] = await exited
    return `${code ?? name}`
  } finally {
    signal.removeEventListener('abort', end)
    await onExit()
  }
}

async function* readyPorts({ stdout }: ChildProcess): AsyncGenerator<number> {
  if (!stdout) return
  for await (const line of createInterface({ input: stdout })) {
    const { listening }: Partial<WorkerReady> = JSON.parse(line)
    if (listening !== undefined) yield listening
  }
}
