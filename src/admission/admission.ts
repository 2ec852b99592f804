import type { User } from '../auth/access.ts'
import type { Kind } from '../kinds/kind.ts'
import type { KubeObject } from '../kinds/meta.ts'

/** A write that is about to happen. Nothing in it may be changed. */
export interface AdmissionRequest {
  operation: 'CREATE' | 'UPDATE'
  kind: Kind
  /** '' for cluster-scoped kinds. */
  namespace: string
  name: string
  object: KubeObject
  /** What stands there now; present on `UPDATE`. */
  old?: KubeObject
  user: User
  subresource?: 'status'
  dryRun: boolean
}

/** The object as it is to be stored. */
export interface AdmissionVerdict {
  object: KubeObject
  /** For the client, a sentence each. */
  warnings: string[]
}

/** Completes an object, then judges it. */
export interface Admission {
  /** Throws a `StatusError`: 422 with a cause for each rule broken, or 400 where the object makes no sense. */
  review(request: AdmissionRequest): Promise<AdmissionVerdict>
}
