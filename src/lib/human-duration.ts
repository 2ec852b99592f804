const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const YEAR = 365 * DAY

/**
 * A span of time as people read it in `AGE` columns: two digits that count, such as `5m12s`, `3d4h` or `2y30d`.
 *
 * Up to two seconds in the future are taken for clocks that differ; beyond that it is `<invalid>`.
 * Source: `HumanDuration` in `k8s.io/apimachinery/pkg/util/duration`.
 */
export function formatDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000)
  if (seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  if (seconds < 2 * MINUTE) return `${seconds}s`
  if (seconds < 10 * MINUTE) return two(seconds, MINUTE, 'm', 1, 's')
  if (seconds < 3 * HOUR) return one(seconds, MINUTE, 'm')
  if (seconds < 8 * HOUR) return two(seconds, HOUR, 'h', MINUTE, 'm')
  if (seconds < 2 * DAY) return one(seconds, HOUR, 'h')
  if (seconds < 8 * DAY) return two(seconds, DAY, 'd', HOUR, 'h')
  if (seconds < 2 * YEAR) return one(seconds, DAY, 'd')
  if (seconds < 8 * YEAR) return two(seconds, YEAR, 'y', DAY, 'd')
  return one(seconds, YEAR, 'y')
}

function one(seconds: number, unit: number, letter: string): string {
  return `${Math.floor(seconds / unit)}${letter}`
}

function two(seconds: number, big: number, bigLetter: string, small: number, smallLetter: string): string {
  const rest = Math.floor((seconds % big) / small)
  return one(seconds, big, bigLetter) + (rest > 0 ? `${rest}${smallLetter}` : '')
}
