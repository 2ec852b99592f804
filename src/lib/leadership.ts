/** Whether this process may act for all of its kind. */
export interface Leadership {
  /** The number of our term, above those of all terms before; `undefined` while we do not lead. */
  epoch(): number | undefined
}

/** We do not lead, or not any more: nothing was asked of anybody. */
export class NotLeading extends Error {
  constructor(action: string) {
    super(`not done, because another process leads: ${action}`)
    this.name = 'NotLeading'
  }
}

/** How long things take, in milliseconds. Source: client-go's `leaderelection`. */
export interface ElectionTimes {
  /** Others wait this long after the last renewal that they have seen. */
  leaseMs: number
  /** A leader that has not renewed for so long leads no more; less than `leaseMs`. */
  renewMs: number
  /** Between attempts, to renew or to take over. */
  retryMs: number
}

/** As Kubernetes' own controllers have them. */
export const ELECTION_TIMES: ElectionTimes = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000 }
