import { backoffMs } from '../../lib/backoff.ts'
import type { SyncRequest } from '../../rpc/actions.ts'
import type { WorkerParts } from '../parts.ts'
import { classify, type GuestFailure } from './failure.ts'
import type { Machine } from './machine.ts'
import type { GuestRecord, Happened } from './record.ts'
import { startGuest } from './start.ts'

/** What guests are started with. */
export interface StarterOptions {
  parts: WorkerParts
  record: GuestRecord
  /** Aborts when the worker leaves. */
  closing: AbortSignal
}

/** What came of a try: a machine, or when to try again; `again` where something else is wanted by now. */
export type Tried = { machine: Machine } | 'again' | { waitMs?: number }

const TRIES = 3
const HOST_BACKOFF = { baseMs: 1_000, maxMs: 30_000 }
const PULL_BACKOFF = { baseMs: 5_000, maxMs: 300_000 }

/** Starts a guest's QEMU, again where that may help, until nobody wants it any more. */
export class Starter {
  readonly #options: StarterOptions
  #starting: AbortController | undefined
  #failures = 0
  #retryAtMs = 0

  constructor(options: StarterOptions) {
    this.#options = options
  }

  /** Something else is wanted: what is being done is dropped, and nothing is waited for. */
  startOver(): void {
    this.#retryAtMs = 0
    this.#failures = 0
    this.#starting?.abort()
  }

  /** Runs `task` until something else is wanted; answers `undefined` then. Throws what `task` throws. */
  async run<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    const starting = new AbortController()
    this.#starting = starting
    const signal = AbortSignal.any([starting.signal, this.#options.closing])
    try {
      return await task(signal)
    } catch (error) {
      if (signal.aborted) return undefined
      throw error
    } finally {
      this.#starting = undefined
    }
  }

  /** Starts what `request` asks for, where it is time to; `onChange` is the machine's. */
  async try(
    request: SyncRequest | undefined,
    options: Omit<Parameters<typeof startGuest>[1], 'signal'>,
  ): Promise<Tried> {
    const { record, parts } = this.#options
    const waitMs = this.#retryAtMs - parts.clock.now()
    if (waitMs > 0) return { waitMs }
    if (!request) {
      record.change({ message: 'waiting to be told again what the guest is made of' })
      return {}
    }
    try {
      const machine = await this.run((signal) => startGuest(request, { ...options, signal }))
      return machine ? { machine } : 'again'
    } catch (error) {
      return this.#failed(classify(error))
    }
  }

  async #failed(failure: GuestFailure): Promise<Tried> {
    const { record, parts } = this.#options
    const { guest, trouble } = record.state
    const { retry, message } = failure
    this.#failures += 1
    const failedStarts = record.state.failedStarts + (retry === 'few' ? 1 : 0)
    const isPull = failure.reason === 'ErrImagePull'
    const reason = isPull && this.#failures > 1 ? 'ImagePullBackOff' : failure.reason
    const isLast = retry === 'never' || failedStarts >= TRIES
    const isNews = trouble?.reason !== reason || trouble.message !== message
    const happened: Happened[] = isNews ? [['Warning', reason, message]] : []
    const change = { trouble: { reason, message }, failedStarts, ...record.withEvents(...happened) }
    parts.log.warn({ err: failure, vmi: guest, isLast }, 'a guest does not start')
    if (isLast) {
      await record.keep({ ...change, phase: 'Failed', reason, message })
      return 'again'
    }
    const waitMs = backoffMs(isPull ? PULL_BACKOFF : HOST_BACKOFF, this.#failures)
    this.#retryAtMs = parts.clock.now() + waitMs
    await record.keep({ ...change, message })
    return { waitMs }
  }
}
