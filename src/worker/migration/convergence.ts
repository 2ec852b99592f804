import type { MigrationOptions } from '../../rpc/actions.ts'

/** How far a migration has come. */
export interface Sample {
  /** Milliseconds since 1970. */
  atMs: number
  /** Of memory. */
  remainingBytes: number
  /** Of memory, and what the copies of disks have moved: grows as long as anything does. */
  transferredBytes: number
  /** How often the memory was gone through. */
  iteration: number
  bytesPerSecond: number
}

/** What to do about it. */
export type Decision =
  | { kind: 'wait' }
  | { kind: 'cancel'; failure: 'timeout' | 'no-progress'; message: string }
  | { kind: 'postcopy' }
  /** Let the guest stand still for longer at the end. `disrupts` where that is more than the configured time. */
  | { kind: 'downtime'; limitMs: number; disrupts: boolean }

/** Bounds that are QEMU's. Source: contract 5.4. */
const LONGEST_DOWNTIME_MS = 2_000_000
const STALL_MS = 40_000
const STALL_GAIN = 0.96
const SMOOTHING = 0.4
const TOLERANCE = 1.5
const GIB = 1024 ** 3

/** Milliseconds that a guest with so much memory and so much of local disks may take; `Infinity` for no limit. */
export function allowedMs(secondsPerGiB: number, bytes: number): number {
  return secondsPerGiB > 0 ? secondsPerGiB * 1000 * Math.max(1, bytes / GIB) : Infinity
}

/** What a migration begins with, or goes on from where another worker has watched it. */
export interface Start {
  /** Milliseconds since 1970. */
  startMs: number
  allowedMs: number
  /** Of the downtime. */
  limitMs: number
  /** The guest is being held up already. */
  disrupts: boolean
}

/**
 * Watches one migration come to its end, or not: where the guest writes faster than its memory can be sent, something
 * has to give, and what may is configured. Source: contract 5.4.
 */
export class Convergence {
  readonly #options: MigrationOptions
  readonly #start: Start
  #deadlineMs: number
  #limitMs: number
  #best: { atMs: number; remainingBytes: number }[] = []
  #iteration = 0
  #moved: { atMs: number; transferredBytes: number } | undefined
  #bytesPerSecond: number | undefined
  #disrupts: boolean

  constructor(options: MigrationOptions, start: Start) {
    const { startMs, allowedMs: forMs, limitMs, disrupts } = start
    this.#options = options
    this.#start = start
    this.#limitMs = limitMs
    this.#disrupts = disrupts
    this.#deadlineMs = startMs + (disrupts ? 2 : 1) * forMs
  }

  /** What the latest sample calls for. */
  judge(sample: Sample): Decision {
    const { atMs } = sample
    this.#bytesPerSecond =
      this.#bytesPerSecond === undefined
        ? sample.bytesPerSecond
        : SMOOTHING * sample.bytesPerSecond + (1 - SMOOTHING) * this.#bytesPerSecond
    if (this.#isStuck(sample)) {
      return {
        kind: 'cancel',
        failure: 'no-progress',
        message: `nothing was sent for ${this.#options.progressSeconds} s`,
      }
    }
    if (atMs >= this.#deadlineMs) return this.#giveWay(atMs)
    return this.#isStalled(sample) ? this.#unstall(sample) : { kind: 'wait' }
  }

  #isStuck({ atMs, transferredBytes }: Sample): boolean {
    const { progressSeconds } = this.#options
    if (!this.#moved || transferredBytes > this.#moved.transferredBytes) {
      this.#moved = { atMs, transferredBytes }
      return false
    }
    return progressSeconds > 0 && atMs - this.#moved.atMs >= progressSeconds * 1000
  }

  /** Whether a new iteration has brought hardly anything, compared with some time ago. */
  #isStalled({ atMs, remainingBytes, iteration }: Sample): boolean {
    if (iteration === this.#iteration) return false
    this.#iteration = iteration
    const old = this.#best.filter((one) => atMs - one.atMs >= STALL_MS)
    const best = Math.min(...old.map((one) => one.remainingBytes))
    this.#best.push({ atMs, remainingBytes })
    // The best of the old ones stands for all of them.
    if (old.length > 1)
      this.#best = [
        { atMs: atMs - STALL_MS, remainingBytes: best },
        ...this.#best.filter((one) => !old.includes(one)),
      ]
    return old.length > 0 && remainingBytes > best * STALL_GAIN
  }

  #unstall({ atMs, remainingBytes }: Sample): Decision {
    const { maxDowntimeMs, allowPostCopy, allowWorkloadDisruption } = this.#options
    const neededMs = (remainingBytes / Math.max(this.#bytesPerSecond ?? 0, 1)) * 1000
    const bound = TOLERANCE * maxDowntimeMs
    if (neededMs <= bound && this.#limitMs < bound) return this.#raise(Math.round(bound), false)
    if (this.#limitMs < maxDowntimeMs) return this.#raise(maxDowntimeMs, false)
    // Where neither is allowed, time may still help, and auto-converge.
    return allowPostCopy || allowWorkloadDisruption ? this.#giveWay(atMs) : { kind: 'wait' }
  }

  #giveWay(atMs: number): Decision {
    const { allowPostCopy, allowWorkloadDisruption, completionSecondsPerGiB } = this.#options
    if (allowPostCopy) return { kind: 'postcopy' }
    if (allowWorkloadDisruption && !this.#disrupts) {
      this.#disrupts = true
      this.#deadlineMs = this.#start.startMs + 2 * this.#start.allowedMs
      return this.#raise(LONGEST_DOWNTIME_MS, true)
    }
    if (atMs < this.#deadlineMs) return { kind: 'wait' }
    return {
      kind: 'cancel',
      failure: 'timeout',
      message: `the guest writes faster than it can be sent: it is not over after the time allowed (${completionSecondsPerGiB} s for each GiB)`,
    }
  }

  #raise(limitMs: number, disrupts: boolean): Decision {
    this.#limitMs = limitMs
    return { kind: 'downtime', limitMs, disrupts }
  }
}
