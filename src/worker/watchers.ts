import type { GuestRef, GuestReport, NodeUpdate } from '../rpc/actions.ts'

/** What one watcher has not been told yet of one guest: the latest report, and whether it is gone after that. */
interface Pending {
  report?: GuestReport
  removed?: GuestRef
}

/** Tells those who watch what happens to guests. A slow one skips reports that newer ones have replaced. */
export class Watchers {
  readonly #watchers = new Set<Watcher>()

  /** Tells all of them. */
  publish(update: NodeUpdate): void {
    for (const watcher of this.#watchers) watcher.take(update)
  }

  /** All guests as they are, then every change, until `signal` aborts. */
  async *watch(snapshot: () => GuestReport[], signal: AbortSignal): AsyncGenerator<NodeUpdate, void, void> {
    const watcher = new Watcher()
    this.#watchers.add(watcher)
    try {
      yield { type: 'snapshot', guests: snapshot() }
      while (!signal.aborted) {
        yield* watcher.drain()
        await watcher.wait(signal)
      }
    } finally {
      this.#watchers.delete(watcher)
    }
  }
}

class Watcher {
  /** By UID: as many entries as there are guests, however slow the reader is. */
  readonly #pending = new Map<string, Pending>()
  #wake: (() => void) | undefined

  take(update: NodeUpdate): void {
    if (update.type === 'report') this.#pending.set(update.guest.guest.uid, { report: update.guest })
    if (update.type === 'removed') {
      const { report } = this.#pending.get(update.guest.uid) ?? {}
      this.#pending.set(update.guest.uid, { ...(report && { report }), removed: update.guest })
    }
    this.#wake?.()
  }

  *drain(): Generator<NodeUpdate, void, void> {
    for (const [uid, { report, removed }] of this.#pending) {
      this.#pending.delete(uid)
      if (report) yield { type: 'report', guest: report }
      if (removed) yield { type: 'removed', guest: removed }
    }
  }

  async wait(signal: AbortSignal): Promise<void> {
    if (this.#pending.size > 0 || signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const stop = (): void => resolve()
    this.#wake = resolve
    signal.addEventListener('abort', stop, { once: true })
    await promise
    signal.removeEventListener('abort', stop)
    this.#wake = undefined
  }
}
