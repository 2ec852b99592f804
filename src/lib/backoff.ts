/** How long to wait between tries: doubling from `baseMs` up to `maxMs`. */
export interface Backoff {
  baseMs: number
  maxMs: number
}

/**
 * Milliseconds to wait after `failures` failures in a row, the first being 1.
 *
 * `random` in [0, 1) shortens the delay by up to a fifth, so that many who failed together do not come back
 * together.
 */
export function backoffMs({ baseMs, maxMs }: Backoff, failures: number, random = 0): number {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(failures - 1, 40))
  return Math.round(full * (1 - random / 5))
}
