/** Runs one task for all who ask for the same thing at the same time. */
export class SharedTasks<T> {
  readonly #running = new Map<string, Running<T>>()

  /**
   * Joins the task of this key, or starts it.
   *
   * `task` gets a signal that aborts when the last of those who wait has gone. Whoever goes gets the reason of its
   * own signal.
   */
  async run(
    key: string,
    signal: AbortSignal | undefined,
    task: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted()
    const running = this.#running.get(key) ?? this.#start(key, task)
    running.waiting += 1
    try {
      return await untilAborted(running.result, signal)
    } finally {
      running.waiting -= 1
      if (running.waiting === 0) this.#abandon(key, running)
    }
  }

  #start(key: string, task: (signal: AbortSignal) => Promise<T>): Running<T> {
    const controller = new AbortController()
    const result = task(controller.signal)
    const running = { waiting: 0, controller, result }
    this.#running.set(key, running)
    return running
  }

  /** Whoever comes next starts anew, rather than join a task that is being ended. */
  #abandon(key: string, running: Running<T>): void {
    if (this.#running.get(key) === running) this.#running.delete(key)
    running.controller.abort(new Error('nobody waits for it any more'))
    // Its failure is nobody's concern now.
    running.result.catch(() => {})
  }
}

interface Running<T> {
  waiting: number
  controller: AbortController
  result: Promise<T>
}

async function untilAborted<T>(result: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return result
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([result, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
