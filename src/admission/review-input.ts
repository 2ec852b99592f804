import type { KubeObject } from '../kinds/meta.ts'
import type { Clock } from '../lib/clock.ts'
import type { Cause } from '../lib/errors.ts'
import type { ObjectReader } from '../store/store.ts'
import type { AdmissionRequest } from './admission.ts'
import type { AdmissionConfig } from './config.ts'
import type { ForeignNames } from './foreign.ts'

/** What a review has at hand. Rules do no I/O: whatever they need from elsewhere was gathered into `facts`. */
export interface ReviewInput<T extends KubeObject = KubeObject, Facts = unknown> {
  request: AdmissionRequest
  /** The object, completed as far as it has come. */
  object: T
  old?: T
  /** Whether one of KubeVirt's own service accounts is asking. */
  isKubeVirt: boolean
  config: AdmissionConfig
  clock: Pick<Clock, 'now'>
  newUid(): string
  facts: Facts
}

/** What a review is opened for: to complete an object, and perhaps to judge it then, or to judge it alone. */
export type ReviewPurpose = 'complete' | 'judge'

/** What is done to the objects of a kind. */
export interface KindAdmission<T extends KubeObject = KubeObject, Facts = unknown> {
  /** What an object names that may stand in another namespace than its own; nothing where absent. */
  names?: (this: void, object: T, namespace: string) => ForeignNames
  /** Reads what the rules need; may throw 400 where that cannot be found. */
  gather?(request: AdmissionRequest, reader: ObjectReader, purpose: ReviewPurpose): Promise<Facts>
  /** As `stages`, but asked before anything is completed: what KubeVirt's mutating webhook refuses. */
  before?: readonly ((input: ReviewInput<T, Facts>) => Cause[])[]
  /** Completes `input.object` in place, in this order. */
  mutators: readonly ((input: ReviewInput<T, Facts>) => void)[]
  /** Whether the object is stored as it came: what the mutators make of it is for the rules alone. Never where absent. */
  staysAsWritten?(input: ReviewInput<T, Facts>): boolean
  /** The causes of one stage are reported together; a later stage is not asked. */
  stages: readonly ((input: ReviewInput<T, Facts>) => Cause[])[]
  /** Sentences for the client of a completed object. */
  warnCompleted?(input: ReviewInput<T, Facts>): string[]
  /** Sentences for the client of an admitted object. */
  warn?(input: ReviewInput<T, Facts>): string[]
}
