/** One value of a series at the moment it was read. */
export interface Reading {
  /** Name of its family: a key of `FAMILIES`. */
  name: string
  labels: Record<string, string>
  value: number
}

/** Something that is read when somebody scrapes, and not before. */
export interface MetricSource {
  /** For the log, where it fails. */
  source: string
  /** What there is no reading of is left out. `signal` aborts when the scrape goes on without it. */
  collect(signal: AbortSignal): Iterable<Reading> | Promise<Iterable<Reading>>
}

/** Without those whose labels have come before: a guest may say the same twice. */
export function withoutRepeats(readings: readonly Reading[]): Reading[] {
  const byLabels = new Map(readings.map((reading) => [JSON.stringify(reading.labels), reading]))
  return [...byLabels.values()]
}
