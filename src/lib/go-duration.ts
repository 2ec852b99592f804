/** Nanoseconds of each unit. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}
const WHOLE = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g
/** Where Go's own type ends: 292 years. */
const LIMIT_NS = 2 ** 63

/**
 * Seconds, with a fraction, of a span of time as Go writes it, such as `5m0s`, `1.5h` or `300ms`.
 *
 * Throws `RangeError` where `text` is none, or one that Go cannot hold.
 * Source: `time.ParseDuration` of Go.
 */
export function parseGoDuration(text: string): number {
  if (/^[+-]?0$/.test(text)) return 0
  const [, sign, parts] = WHOLE.exec(text) ?? []
  if (parts === undefined)
    throw new RangeError(`${JSON.stringify(text.slice(0, 64))} is no duration such as 30s or 5m0s`)
  let ns = 0
  for (const [, amount, unit = ''] of parts.matchAll(PART)) ns += Number(amount) * (UNITS[unit] ?? NaN)
  if (ns >= LIMIT_NS) throw new RangeError(`${JSON.stringify(text.slice(0, 64))} is longer than 292 years`)
  return (sign === '-' ? -ns : ns) / 1e9
}
