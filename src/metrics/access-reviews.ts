/** Questions to the Kubernetes API on who somebody is and what they may. Source: contract metrics.md, section 9.8. */
import type { Metrics } from './exposition.ts'

/** Told of reviews of one kind. */
export interface AccessReviewWatch {
  /** One was wanted: known already, being asked for, or to be asked for. */
  wanted(result: 'hit' | 'joined' | 'miss'): void
  /** One that was asked for was answered, or was not. */
  asked(result: 'answered' | 'failed', tookMs: number): void
}

/** Counts reviews of a kind, such as `SubjectAccessReview`. */
export function watchAccessReviews(metrics: Metrics, review: string): AccessReviewWatch {
  const durations = metrics.histogram('virtgate_access_review_duration_seconds')
  const lookups = metrics.counter('virtgate_access_review_lookups_total')
  return {
    wanted: (result) => lookups.add({ review, result }),
    asked: (result, tookMs) => durations.observe({ review, result }, tookMs / 1000),
  }
}
