/** When to look at a guest again; absent: only when something rings. */
export interface Wait {
  waitMs?: number
}

/** The earliest of several times to look again. */
export function soonest(...waits: readonly Wait[]): Wait {
  const times = waits.flatMap(({ waitMs }) => waitMs ?? [])
  return times.length > 0 ? { waitMs: Math.min(...times) } : {}
}
