import { badRequest, StatusError } from '../lib/errors.ts'

/** Header with the number of the term in which the caller leads. */
export const LEADER_HEADER = 'virtgate-leader'
/** Header with what the worker has said last to prove by. */
export const PROOF_HEADER = 'virtgate-proof'
/** Reason of the refusal of a leader whose successor has called already. */
export const STALE_LEADER = 'StaleLeader'

/** Keeps what a former leader still asks for from a node. */
export interface Fence {
  /**
   * Takes note of a call in that term, before anything is done for it. Throws `StaleLeader` where there was one in a later
   * term, be it before a restart. `proof`: the latest that the leader has got from here, where it says one.
   */
  admit(epoch: number, proof?: string): Promise<void>
  /** To be given out with an answer: whoever brings it back while it leads has led later than now. */
  proof(): string | undefined
}

/** The refusal of a leader that does not lead any more. */
export function staleLeader(epoch: number, latest: number): StatusError {
  return new StatusError(
    412,
    STALE_LEADER,
    `the caller led in term ${epoch}, and term ${latest} has begun: what it asks for is not done. Should the Lease ` +
      `of the controllers be new, raise its leaseTransitions above ${latest}`,
  )
}

/** The term in a header; `undefined` where there is none. Throws 400 for what is no number. */
export function readEpoch(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined
  const epoch = /^\d{1,15}$/.test(String(header)) ? Number(header) : Number.NaN
  if (!Number.isSafeInteger(epoch)) throw badRequest(`${LEADER_HEADER} has to be the number of a term`)
  return epoch
}

/** The proof in a header; `undefined` where there is none that could be ours. */
export function readProof(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w .-]{1,100}$/.test(header) ? header : undefined
}
