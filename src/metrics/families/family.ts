/** One name with its type, as everybody who scrapes it sees it. */
export interface Family {
  type: 'gauge' | 'counter' | 'histogram'
  /** Names of labels; one that ends in `*` stands for all that begin so. A series may lack some. */
  labels: string[]
  help: string
}

/** A family of histograms; upper bounds are in seconds. */
export interface HistogramFamily extends Family {
  type: 'histogram'
  buckets: readonly number[]
}

/** A value that goes up and down. */
export function gauge(help: string, ...labels: string[]): Family {
  return { type: 'gauge', labels, help }
}

/** A value that counts. */
export function counter(help: string, ...labels: string[]): Family {
  return { type: 'counter', labels, help }
}

/** How often something took how long. */
export function histogram(help: string, buckets: readonly number[], ...labels: string[]): HistogramFamily {
  return { type: 'histogram', labels, help, buckets }
}
