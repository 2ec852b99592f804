/** How many may be at work at the same time, and how many may wait. */
export interface FairQueueLimits {
  /** In all. */
  atOnce: number
  /** Of one flow. */
  atOncePerFlow: number
  /** Of one flow; the next one is turned away. */
  waitingPerFlow: number
}

/** Leave to be at work; it ends with its disposal. */
export type Turn = Disposable

/**
 * Lets the work of many flows begin in turn: no flow has more at work than its share, and where there is not enough for all, each
 * flow that waits gets one turn after the other, however much it asks for.
 */
export class FairQueue {
  readonly #limits: FairQueueLimits
  readonly #working = new Map<string, number>()
  /** What waits, by flow; flows in the order of their next turns. */
  readonly #waiting = new Map<string, (() => void)[]>()
  #atWork = 0

  constructor(limits: FairQueueLimits) {
    this.#limits = limits
  }

  /**
   * Resolves when it is the turn of this flow; at once to `undefined` where too many of it wait already. Throws the reason of
   * `signal` where that aborts before.
   */
  async enter(flow: string, signal: AbortSignal): Promise<Turn | undefined> {
    signal.throwIfAborted()
    if (!this.#waiting.has(flow) && this.#mayBegin(flow)) return this.#begin(flow)
    const line = this.#waiting.get(flow) ?? []
    if (line.length >= this.#limits.waitingPerFlow) return undefined
    this.#waiting.set(flow, line)
    const { promise, resolve, reject } = Promise.withResolvers<Turn>()
    const leave = (): void => {
      line.splice(line.indexOf(begin), 1)
      if (line.length === 0) this.#waiting.delete(flow)
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- what the caller gave is what they get.
      reject(signal.reason)
    }
    const begin = (): void => {
      signal.removeEventListener('abort', leave)
      resolve(this.#begin(flow))
    }
    signal.addEventListener('abort', leave, { once: true })
    line.push(begin)
    return promise
  }

  #mayBegin(flow: string): boolean {
    const { atOnce, atOncePerFlow } = this.#limits
    return this.#atWork < atOnce && (this.#working.get(flow) ?? 0) < atOncePerFlow
  }

  #begin(flow: string): Turn {
    this.#atWork += 1
    this.#working.set(flow, (this.#working.get(flow) ?? 0) + 1)
    let isOver = false
    return {
      [Symbol.dispose]: () => {
        if (isOver) return
        isOver = true
        this.#end(flow)
      },
    }
  }

  #end(flow: string): void {
    this.#atWork -= 1
    const left = (this.#working.get(flow) ?? 0) - 1
    if (left > 0) this.#working.set(flow, left)
    else this.#working.delete(flow)
    // One has ended, so one may begin: of the flow that has waited longest since its last turn.
    for (const [next, line] of this.#waiting) {
      if (!this.#mayBegin(next)) continue
      this.#waiting.delete(next)
      const begin = line.shift()
      if (line.length > 0) this.#waiting.set(next, line)
      begin?.()
      return
    }
  }
}
