import type { Authorizer } from '../access.ts'
import type { RbacSource } from '../rbac/source.ts'
import type { ReviewKind } from '../review-kind.ts'
import type { TokenReader } from '../service-account-tokens.ts'
import { localSubjectAccessReview, selfSubjectAccessReview, subjectAccessReview } from './access.ts'
import { selfSubjectReview, tokenReview } from './identity.ts'
import { selfSubjectRulesReview } from './rules.ts'

/** What the reviews ask. */
export interface ReviewParts {
  authorizer: Authorizer
  source: RbacSource
  tokens: TokenReader
}

/** Every review, in the order discovery lists them. */
export function buildReviews({ authorizer, source, tokens }: ReviewParts): ReviewKind[] {
  return [
    subjectAccessReview(authorizer),
    localSubjectAccessReview(authorizer),
    selfSubjectAccessReview(authorizer),
    selfSubjectRulesReview(source),
    selfSubjectReview(),
    tokenReview(tokens),
  ]
}
