import type { Admission } from '../admission/admission.ts'
import type { Kind } from '../kinds/kind.ts'
import type { KubeObject } from '../kinds/meta.ts'
import type { Clock } from '../lib/clock.ts'
import type { ObjectDatabase } from '../store/sqlite/rows.ts'
import type { ShapeChecker } from './api.ts'

/** What the object API is put together from. */
export interface RegistryParts {
  database: ObjectDatabase
  kinds: readonly Kind[]
  admission: Admission
  shapes: ShapeChecker
  clock: Clock
  /** A UID nobody has: `randomUUID`. */
  newUid(): string
  /** A whole number from 0 to below `below`: `randomInt`. */
  random(below: number): number
  /** Between two bookmarks of a watch; a minute where not given. */
  bookmarkIntervalMs?: number
  /** Events a watcher may lag behind before its watch is ended. */
  watchBufferLength?: number
}

/** An object whose members beyond the common ones are not known to the compiler. */
export type AnyObject = KubeObject & Record<string, unknown>

/** One object of one kind, by its address. */
export interface Target {
  kind: Kind
  /** '' for cluster-scoped kinds. */
  namespace: string
  name: string
}
