import { backoffMs } from '../lib/backoff.ts'
import { wait } from '../lib/clock.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Actions, GuestRef, Nodes } from '../rpc/actions.ts'
import { messageFault, type MessageFault } from '../lib/bad-message.ts'
import { NodeView } from './node-view.ts'
import type { GuestView } from './node-view.ts'

const BACKOFF = { baseMs: 200, maxMs: 15_000 }
/** Three heartbeats missed: the peer is dead, whatever the socket says. */
const SILENCE_MS = 30_000

/** What the watch is made from. */
export interface NodeWatchOptions {
  nodes: Nodes
  clock: Clock
  log: Log
  random: () => number
  /** Nodes to listen to besides those that are ready: those that hold guests. */
  holders: () => string[]
  /** Called with a guest of which something was heard, and the node that has said it. */
  onGuest: (guest: GuestRef, nodeName: string) => void
  /** Called when a node has said what nobody can believe. It is dropped, and the node asked anew. */
  onDropped: (nodeName: string, fault: MessageFault) => void
  /** Called when a node's connection has come or gone. */
  onNode: (nodeName: string) => void
}

/** Listens to all nodes and remembers the latest they said. */
export interface NodeWatch extends AsyncDisposable {
  /** `undefined` where the node was never listened to. */
  view(nodeName: string): NodeView | undefined
  /** Guests of that `namespace/name`, wherever they are. */
  guestsNamed(key: string): { nodeName: string; guest: GuestView }[]
  /** Nothing more will be asked about that guest. */
  forget(uid: string): void
  /** Looks again at which nodes there are. */
  refresh(): void
}

/** Starts listening to every node; a broken connection is made again, with a growing delay. */
export function startNodeWatch(options: NodeWatchOptions): NodeWatch {
  return new Watch(options)
}

class Watch implements NodeWatch {
  readonly #options: NodeWatchOptions
  readonly #views = new Map<string, NodeView>()
  readonly #followers = new Map<string, Promise<void>>()
  readonly #closing = new AbortController()
  readonly #wake = new Map<string, () => void>()
  readonly #unsubscribe: () => void

  constructor(options: NodeWatchOptions) {
    this.#options = options
    this.#unsubscribe = options.nodes.onChange(() => this.refresh())
    this.refresh()
  }

  view(nodeName: string): NodeView | undefined {
    return this.#views.get(nodeName)
  }

  guestsNamed(key: string): { nodeName: string; guest: GuestView }[] {
    return [...this.#views].flatMap(([nodeName, view]) =>
      view.named(key).map((guest) => ({ nodeName, guest })),
    )
  }

  forget(uid: string): void {
    for (const view of this.#views.values()) view.forget(uid)
  }

  refresh(): void {
    if (this.#closing.signal.aborted) return
    const { nodes, holders, clock } = this.#options
    for (const nodeName of new Set([...nodes.ready(), ...holders()])) {
      this.#wake.get(nodeName)?.()
      if (this.#followers.has(nodeName)) continue
      const view = new NodeView(clock.now())
      this.#views.set(nodeName, view)
      this.#followers.set(nodeName, this.#follow(nodeName, view))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe()
    this.#closing.abort()
    await Promise.all(this.#followers.values())
  }

  async #follow(nodeName: string, view: NodeView): Promise<void> {
    const { nodes, clock, log, random, onNode, onDropped } = this.#options
    let failures = 0
    while (!this.#closing.signal.aborted) {
      const session = view.connection.session
      try {
        const actions = nodes.find(nodeName)
        if (actions) await this.#listen(nodeName, view, actions)
      } catch (error) {
        const fault = messageFault(error)
        if (fault) onDropped(nodeName, fault)
        if (!this.#closing.signal.aborted)
          log.warn({ err: error, node: nodeName }, 'lost the connection to a node')
      }
      const wasConnected = view.connection.connected
      view.disconnect(clock.now())
      if (wasConnected && !this.#closing.signal.aborted) onNode(nodeName)
      failures = view.connection.session === session ? failures + 1 : 1
      await this.#rest(nodeName, backoffMs(BACKOFF, failures, random()))
    }
  }

  /** Waits, or until there is news of which nodes there are. */
  async #rest(nodeName: string, delayMs: number): Promise<void> {
    const awake = new AbortController()
    this.#wake.set(nodeName, () => awake.abort())
    await wait(this.#options.clock, delayMs, AbortSignal.any([awake.signal, this.#closing.signal]))
    this.#wake.delete(nodeName)
  }

  async #listen(nodeName: string, view: NodeView, actions: Actions): Promise<void> {
    const { clock, onGuest, onNode } = this.#options
    const silent = new AbortController()
    let timer = clock.after(SILENCE_MS, () => silent.abort())
    try {
      for await (const update of actions.watch(AbortSignal.any([this.#closing.signal, silent.signal]))) {
        timer[Symbol.dispose]()
        timer = clock.after(SILENCE_MS, () => silent.abort())
        for (const guest of view.apply(update, clock.now())) onGuest(guest, nodeName)
        if (update.type === 'snapshot') onNode(nodeName)
      }
    } finally {
      timer[Symbol.dispose]()
    }
  }
}
