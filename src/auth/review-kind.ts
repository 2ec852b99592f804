import type { User } from './access.ts'

/** What a review is told beside its body. */
export interface ReviewContext {
  /** Who is asking, after impersonation. */
  user: User
  /** Of the route; '' for kinds that are not namespaced. */
  namespace: string
  signal: AbortSignal
}

/** A kind that is answered and never stored, such as SubjectAccessReview. */
export interface ReviewKind {
  group: string
  version: string
  kind: string
  plural: string
  namespaced: boolean
  verbs: readonly string[]
  /** The answer to the body that was posted. Throws a `StatusError` where the body makes no sense. */
  run(object: unknown, context: ReviewContext): Promise<unknown>
}
