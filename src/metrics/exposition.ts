import Counter from '@prometheus-io/client/lib/counter.js'
import Histogram from '@prometheus-io/client/lib/histogram.js'
import Registry from '@prometheus-io/client/lib/registry.js'
import type { Metric } from '@prometheus-io/client'
import { wait, type Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { FAMILIES, type FamilyName, type HistogramName } from './families/index.ts'
import { isClean, labelValue } from './labels.ts'
import type { MetricSource, Reading } from './reading.ts'

/** Counts what happens; its series are there until they are removed. */
export interface Tally {
  add(labels: Record<string, string>, amount?: number): void
  remove(labels: Record<string, string>): void
  /** Removes all series. */
  clear(): void
}

/** Takes in how long things took, in seconds. */
export interface Distribution {
  observe(labels: Record<string, string>, seconds: number): void
}

/** Everything that a process has to say in figures. */
export interface Metrics {
  /** Reads `source` at each scrape, until what this answers is disposed of. */
  add(source: MetricSource): Disposable
  counter(name: FamilyName): Tally
  histogram(name: HistogramName): Distribution
  /** All series in the text format, one family a piece. Sources that take longer than `limitMs` are left out. */
  text(signal?: AbortSignal): AsyncIterable<string>
}

/** Source: "Text format details" in the Prometheus documentation. */
export const CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE

/** Prometheus gives up after 10 s unless it is told otherwise. */
const LIMIT_MS = 8_000

/** What metrics are gathered with. */
export interface MetricsOptions {
  clock: Clock
  log: Log
  limitMs?: number
}

/** Nothing is read before `text` is called. */
export function openMetrics(options: MetricsOptions): Metrics {
  return new Gathered(options)
}

class Gathered implements Metrics {
  readonly #options: MetricsOptions
  readonly #sources = new Set<MetricSource>()
  readonly #recorded = new Map<FamilyName, Counter<string> | Histogram<string>>()

  constructor(options: MetricsOptions) {
    this.#options = options
  }

  add(source: MetricSource): Disposable {
    this.#sources.add(source)
    return { [Symbol.dispose]: () => void this.#sources.delete(source) }
  }

  counter(name: FamilyName): Tally {
    const { help, labels: labelNames } = FAMILIES[name]
    const counter = this.#record(name, () => new Counter<string>({ name, help, labelNames, registers: [] }))
    return {
      add: (labels, amount = 1) => counter.inc(cleaned(labels), amount),
      remove: (labels) => counter.remove(cleaned(labels)),
      clear: () => counter.reset(),
    }
  }

  histogram(name: HistogramName): Distribution {
    const { help, labels: labelNames, buckets } = FAMILIES[name]
    const histogram = this.#record(
      name,
      () => new Histogram<string>({ name, help, labelNames, buckets: [...buckets], registers: [] }),
    )
    return { observe: (labels, seconds) => histogram.observe(cleaned(labels), seconds) }
  }

  async *text(signal?: AbortSignal): AsyncGenerator<string, void, void> {
    const registry = new Registry()
    for (const metric of this.#recorded.values()) yield `${await registry.getMetricsAsString(metric)}\n`
    for (const [name, values] of byFamily(await this.#collect(signal))) {
      if (this.#recorded.has(name)) continue
      yield `${await registry.getMetricsAsString(metricOf(name, values))}\n`
    }
  }

  /** Whoever asks for the same family again, such as the next leader's controllers, goes on counting. */
  #record<T extends Counter<string> | Histogram<string>>(name: FamilyName, make: () => T): T {
    const present = this.#recorded.get(name)
    // The name says which of the two it is.
    if (present) return present as T
    const made = make()
    this.#recorded.set(name, made)
    return made
  }

  async #collect(signal: AbortSignal | undefined): Promise<Reading[]> {
    const { clock, limitMs = LIMIT_MS } = this.#options
    const enough = new AbortController()
    const until = AbortSignal.any([enough.signal, ...(signal ? [signal] : [])])
    const late = wait(clock, limitMs, until)
    const all = await Promise.all([...this.#sources].map((source) => this.#read(source, until, late)))
    enough.abort()
    return all.flat()
  }

  /** Never rejects: what cannot be read keeps nobody from the rest. */
  async #read(metricSource: MetricSource, signal: AbortSignal, late: Promise<void>): Promise<Reading[]> {
    const { source } = metricSource
    const { log } = this.#options
    const reading = (async () => [...(await metricSource.collect(signal))])().catch((error: unknown) => {
      log.warn({ err: error, source }, 'figures cannot be read')
      return []
    })
    const first = await Promise.race([reading, late])
    if (!first && !signal.aborted) log.warn({ source }, 'figures were not there in time, and are left out')
    return first ?? []
  }
}

function byFamily(readings: readonly Reading[]): Map<FamilyName, Reading[]> {
  const families = new Map<FamilyName, Reading[]>()
  for (const reading of readings) {
    // A worker of another version may tell of more than is known here.
    if (!isFamily(reading.name) || Number.isNaN(reading.value)) continue
    const present = families.get(reading.name)
    if (present) present.push(reading)
    else families.set(reading.name, [reading])
  }
  return families
}

function isFamily(name: string): name is FamilyName {
  return Object.hasOwn(FAMILIES, name)
}

/** As the library's own metrics are registered: it calls nothing but `get`. Series may differ in their labels. */
function metricOf(name: FamilyName, readings: readonly Reading[]): Metric<string> {
  const { help, type } = FAMILIES[name]
  const values = readings.map(({ labels, value }) => ({ labels: cleaned(labels), value }))
  return { name, help, type, get: async () => ({ name, help, type, values }) } as unknown as Metric<string>
}

/** A label without a value is the same as none. */
function cleaned(labels: Record<string, string>): Record<string, string> {
  // Nearly always there is nothing to do.
  if (Object.values(labels).every(isClean)) return labels
  const entries = Object.entries(labels).filter(([, value]) => value !== '')
  return Object.fromEntries(entries.map(([name, value]) => [name, labelValue(value)]))
}
