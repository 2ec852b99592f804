import type { Cause } from '../../lib/errors.ts'
import type { NameCheck } from '../../lib/names.ts'
import type { AnyObject } from '../parts.ts'

/** What the server does for one kind beyond what it does for all. Source: `pkg/registry` of Kubernetes. */
export interface Strategy {
  /** How names are spelt; a DNS subdomain where not given. */
  checkName?: NameCheck
  /** Completes a new object, in place. */
  prepareCreate?(object: AnyObject): void
  /** Completes a changed object, in place. */
  prepareUpdate?(object: AnyObject, current: AnyObject): void
  /** What is wrong with the object; `current` is what an update would replace. */
  check?(object: AnyObject, current: AnyObject | undefined): Cause[]
  /** Fields that a field selector may name, beyond `metadata.name` and `metadata.namespace`. */
  selectableFields?: Record<string, (object: AnyObject) => unknown>
  /** Why the object of this name may not be deleted; `undefined` where it may. */
  refuseDelete?(name: string): string | undefined
  /** Changes an object that is deleted, in place, and says whether it has to wait for something of its own. */
  holdDelete?(object: AnyObject): boolean
}
