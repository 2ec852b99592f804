/**
 * Parts of `@prometheus-io/client` by their own files. Its index loads OpenTelemetry's API, an HTTP client and cluster
 * support besides: 21 MiB and 0.1 s, where these three take 0.3 MiB of heap.
 */
declare module '@prometheus-io/client/lib/registry.js' {
  export { Registry as default } from '@prometheus-io/client'
}
declare module '@prometheus-io/client/lib/counter.js' {
  export { Counter as default } from '@prometheus-io/client'
}
declare module '@prometheus-io/client/lib/histogram.js' {
  export { Histogram as default } from '@prometheus-io/client'
}
