import type { KubeObject } from '../kinds/meta.ts'

/** Leaves a Kubernetes Event on an object. Never fails the work it reports on: a lost Event is logged. */
export interface EventRecorder {
  /** `reason` is one CamelCase word, `message` a sentence for people. Repeats raise the Event's count. */
  record(about: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void
}
