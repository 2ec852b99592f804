import type { Lease } from '../../kinds/core.ts'

/** How long ago a Lease was renewed, and whether it holds no more. One that was never renewed does not. */
export function ageOfLease({ spec }: Lease, now: number): { seconds: number; isOver: boolean } {
  const renewed = Date.parse(spec?.renewTime ?? '')
  if (Number.isNaN(renewed)) return { seconds: 0, isOver: true }
  const seconds = Math.max(0, Math.round((now - renewed) / 1000))
  return { seconds, isOver: seconds > (spec?.leaseDurationSeconds ?? 0) }
}
