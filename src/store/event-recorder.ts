import { createHash } from 'node:crypto'
import { timestamp } from '../lib/clock.ts'
import type { Clock } from '../lib/clock.ts'
import { hasReason } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { Event } from '../kinds/core.ts'
import type { Draft, KubeObject } from '../kinds/meta.ts'
import { EVENTS } from '../kinds/table.ts'
import type { EventRecorder } from './events.ts'
import type { ObjectWriter } from './store.ts'

/** What a recorder is opened with. */
export interface EventRecorderOptions {
  store: Pick<ObjectWriter, 'create' | 'patch'>
  /** Who reports, such as `virtualmachine-controller`. */
  component: string
  clock: Clock
  log: Log
}

/** Repeats within this time raise the count of the Event before. */
const WINDOW_MS = 600_000
/** Events that wait to be written; more are lost. */
const QUEUE_LENGTH = 1000
/** Events remembered for counting. */
const REMEMBERED = 4096

interface Entry {
  key: string
  draft: Draft<Event>
  times: number
}

/** What was written, for the repeats to count on. */
interface Written {
  namespace: string
  name: string
  count: number
  lastMs: number
}

/**
 * Writes Kubernetes Events in the background, in order. Closing it writes what still waits.
 *
 * An Event that cannot be written is logged and lost: it must not fail, or hold up, what it reports on.
 */
export function openEventRecorder(options: EventRecorderOptions): EventRecorder & AsyncDisposable {
  return new Recorder(options)
}

class Recorder implements EventRecorder, AsyncDisposable {
  readonly #options: EventRecorderOptions
  readonly #queue = new Map<string, Entry>()
  /** Oldest first. */
  readonly #written = new Map<string, Written>()
  #writing: Promise<void> | undefined
  #sequence = 0

  constructor(options: EventRecorderOptions) {
    this.#options = options
  }

  record(about: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const { log } = this.#options
    const key = digest([about.kind, about.metadata.uid, type, reason, message])
    const waiting = this.#queue.get(key)
    if (waiting) waiting.times++
    else if (this.#queue.size >= QUEUE_LENGTH) {
      log.warn({ about: about.metadata.name, reason }, 'an Event is lost: too many wait')
    } else this.#queue.set(key, { key, draft: this.#draft(about, type, reason, message), times: 1 })
    this.#writing ??= this.#writeAll()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing
  }

  async #writeAll(): Promise<void> {
    // Lets the caller go on first: recording never takes the time of a write.
    await Promise.resolve()
    for (const [key, entry] of this.#queue) {
      this.#queue.delete(key)
      try {
        await this.#write(entry)
      } catch (error) {
        const { involvedObject, reason } = entry.draft
        this.#options.log.warn({ err: error, about: involvedObject.name, reason }, 'an Event is lost')
      }
    }
    this.#writing = undefined
  }

  async #write(entry: Entry): Promise<void> {
    const before = this.#written.get(entry.key)
    if (before && this.#options.clock.now() - before.lastMs < WINDOW_MS) {
      if (await this.#count(before, entry)) return
    }
    const draft = { ...entry.draft, count: entry.times }
    const { metadata } = await this.#options.store.create(EVENTS, draft)
    const { namespace, name } = metadata
    this.#remember(entry.key, { namespace, name, count: entry.times, lastMs: this.#options.clock.now() })
  }

  /** Raises the count of an Event; false where it has been deleted since. */
  async #count(before: Written, { key, draft, times }: Entry): Promise<boolean> {
    const count = before.count + times
    const body = { count, lastTimestamp: draft.lastTimestamp }
    try {
      const { namespace, name } = before
      await this.#options.store.patch(EVENTS, namespace, name, { type: 'merge', body })
    } catch (error) {
      if (hasReason(error, 'NotFound')) return false
      throw error
    }
    this.#remember(key, { ...before, count, lastMs: this.#options.clock.now() })
    return true
  }

  #remember(key: string, written: Written): void {
    this.#written.delete(key)
    this.#written.set(key, written)
    const [oldest] = this.#written.keys()
    if (this.#written.size > REMEMBERED && oldest !== undefined) this.#written.delete(oldest)
  }

  #draft(about: KubeObject, type: string, reason: string, message: string): Draft<Event> {
    const { component, clock } = this.#options
    const { apiVersion, kind, metadata } = about
    const now = timestamp(clock)
    // Events of cluster-scoped objects live in `default`, as everywhere in Kubernetes.
    const namespace = metadata.namespace ?? 'default'
    const suffix = `${clock.now().toString(16)}${(this.#sequence++ % 4096).toString(16).padStart(3, '0')}`
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { namespace, name: `${metadata.name.slice(0, 230)}.${suffix}` },
      involvedObject: {
        apiVersion,
        kind,
        ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
        name: metadata.name,
        uid: metadata.uid,
        resourceVersion: metadata.resourceVersion,
      },
      type,
      reason,
      message: message.slice(0, 1024),
      firstTimestamp: now,
      lastTimestamp: now,
      eventTime: null,
      source: { component },
      reportingComponent: component,
      reportingInstance: '',
    }
  }
}

function digest(parts: string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64')
}
