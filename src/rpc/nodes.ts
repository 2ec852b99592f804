import { monotonicMs, systemClock, wait, type Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Actions, Nodes } from './actions.ts'

interface Entry {
  actions: Actions
  isReady: boolean
  /** When it gave us the latest proof that it has heard of us. */
  heardMs: () => number
  stop: AbortController
}

const PING_MS = 10_000
/** Sooner, while a node does not answer. */
const RETRY_MS = 2_000
/** One lost answer is no dead node. */
const FAILURES = 2

/** The enrolled nodes, each asked every ten seconds whether it is there. */
export class NodeDirectory implements Nodes, Disposable {
  readonly #entries = new Map<string, Entry>()
  readonly #listeners = new Set<() => void>()
  readonly #log: Log
  readonly #clock: Clock

  constructor(log: Log, clock: Clock = systemClock) {
    this.#log = log
    this.#clock = clock
  }

  /**
   * Enrols a node, in place of one of the same name. Settles once it has answered, or has failed to. `heardMs`: when it
   * answered last, by the clock that nobody sets; where it never has, the moment counts in which it was enrolled.
   */
  async register(name: string, actions: Actions, heardMs?: () => number | undefined): Promise<void> {
    this.unregister(name)
    const registeredMs = monotonicMs(this.#clock)
    const entry: Entry = {
      actions,
      isReady: false,
      heardMs: () => heardMs?.() ?? registeredMs,
      stop: new AbortController(),
    }
    this.#entries.set(name, entry)
    const isThere = await this.#ping(entry)
    if (entry.stop.signal.aborted) return
    this.#setReady(name, entry, isThere)
    void this.#keepAsking(name, entry)
  }

  /** Forgets a node; what was found stays usable to whoever holds it. */
  unregister(name: string): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    entry.stop.abort()
    this.#entries.delete(name)
    if (entry.isReady) this.#notify()
  }

  find(nodeName: string): Actions | undefined {
    const entry = this.#entries.get(nodeName)
    return entry?.isReady ? entry.actions : undefined
  }

  lastHeardMs(nodeName: string): number | undefined {
    return this.#entries.get(nodeName)?.heardMs()
  }

  ready(): string[] {
    return [...this.#entries].filter(([, { isReady }]) => isReady).map(([name]) => name)
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  [Symbol.dispose](): void {
    for (const name of this.#entries.keys()) this.unregister(name)
    this.#listeners.clear()
  }

  async #keepAsking(name: string, entry: Entry): Promise<void> {
    const { signal } = entry.stop
    let failures = entry.isReady ? 0 : FAILURES
    for (;;) {
      await wait(this.#clock, failures > 0 ? RETRY_MS : PING_MS, signal)
      if (signal.aborted) return
      failures = (await this.#ping(entry)) ? 0 : failures + 1
      if (signal.aborted) return
      if (failures === 0 || failures >= FAILURES) this.#setReady(name, entry, failures === 0)
    }
  }

  async #ping(entry: Entry): Promise<boolean> {
    const { actions, stop } = entry
    try {
      await actions.info(stop.signal)
      return true
    } catch (error) {
      if (!stop.signal.aborted) this.#log.debug({ err: error }, 'a node did not answer')
      return false
    }
  }

  #setReady(name: string, entry: Entry, isReady: boolean): void {
    if (entry.isReady === isReady) return
    entry.isReady = isReady
    if (isReady) this.#log.info({ node: name }, 'node is ready')
    else this.#log.warn({ node: name }, 'node does not answer')
    this.#notify()
  }

  #notify(): void {
    for (const listener of this.#listeners) listener()
  }
}
