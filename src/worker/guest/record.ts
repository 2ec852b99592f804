import { randomUUID } from 'node:crypto'
import { type Clock, timestamp } from '../../lib/clock.ts'
import { isSameJson } from '../../lib/json.ts'
import type { GuestEvent, GuestReport } from '../../rpc/actions.ts'
import { writeDurably } from '../files/durable.ts'
import { buildReport } from './report.ts'
import type { GuestState } from './state.ts'

/** Members to set; `undefined` removes one. */
export type Change = { [K in keyof GuestState]?: GuestState[K] | undefined }

/** Something that happened: type, reason, message. */
export type Happened = [type: GuestEvent['type'], reason: string, message: string]

const EVENT_LIMIT = 20

/** The record of one guest: in memory, on disk, and as the report that others see. */
export class GuestRecord {
  #state: GuestState
  #report: GuestReport
  #writing: Promise<void> = Promise.resolve()
  readonly #file: string
  readonly #clock: Clock
  readonly #publish: (report: GuestReport) => void
  readonly #listeners = new Set<() => void>()

  constructor(parts: {
    state: GuestState
    file: string
    clock: Clock
    publish: (report: GuestReport) => void
  }) {
    this.#state = parts.state
    this.#report = buildReport(parts.state)
    this.#file = parts.file
    this.#clock = parts.clock
    this.#publish = parts.publish
  }

  get state(): Readonly<GuestState> {
    return this.#state
  }

  get report(): GuestReport {
    return this.#report
  }

  /** Changes what others see, without a promise that it survives a crash. */
  change(change: Change): void {
    this.#apply(change)
    this.#tell()
  }

  /** Writes a change down, then lets others see it. Throws the system's error where it cannot be written. */
  async keep(change: Change): Promise<void> {
    this.#apply(change)
    const text = JSON.stringify(this.#state)
    const written = this.#writing.then(() => writeDurably(this.#file, text))
    // Whoever comes next waits for this one, and does not share its failure.
    this.#writing = written.catch(() => {})
    await written
    this.#tell()
  }

  /** Calls `listener` after every change; answers how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** The events with more of them, for a change. */
  withEvents(...happened: Happened[]): Pick<GuestState, 'events'> {
    const time = timestamp(this.#clock)
    const events = happened.map(([type, reason, message]) => ({
      id: randomUUID(),
      type,
      reason,
      message,
      time,
    }))
    return { events: [...this.#state.events, ...events].slice(-EVENT_LIMIT) }
  }

  #apply(change: Change): void {
    const entries = Object.entries({ ...this.#state, ...change }).filter(([, value]) => value !== undefined)
    // Members that may not be absent are never set to undefined by those who write changes.
    this.#state = Object.fromEntries(entries) as unknown as GuestState
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
    const report = buildReport(this.#state)
    if (isSameJson(report, this.#report)) return
    this.#report = report
    this.#publish(report)
  }
}
